"""The gateway behind the request that is being served."""

from __future__ import annotations

from typing import cast

from flask import Flask, current_app

from app.gateway import Gateway

_NAME = "tooloo.gateway"


def attach(app: Flask, gateway: Gateway) -> None:
    app.extensions[_NAME] = gateway


def gateway() -> Gateway:
    return cast(Gateway, current_app.extensions[_NAME])
