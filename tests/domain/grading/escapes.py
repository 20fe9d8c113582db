"""What native code would try that has got out of the JavaScript engine: raw system calls.

`python -I escapes.py JAIL USER PID ADDRESS SIZE`: JAIL is the path of jail.py, or `none`; USER the number of whom to
become first, or 0; PID, ADDRESS and SIZE say where a secret lies in another process. Writes a JSON object: what each
call gave, {"did": value} or {"refused": errno}.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import platform
import signal
import struct
import sys
from collections.abc import Callable

#: of x86-64 and ARM64
NUMBERS = {
    "x86_64": {
        "openat": 257,
        "socket": 41,
        "process_vm_readv": 310,
        "clone": 56,
        "kill": 62,
        "prlimit64": 302,
        "ptrace": 101,
        "execve": 59,
        "pidfd_open": 434,
        "read": 0,
        "memfd_create": 319,
        "unshare": 272,
        "io_uring_setup": 425,
        "clone3": 435,
        "mmap": 9,
        "mprotect": 10,
        "nanosleep": 35,
    },
    "aarch64": {
        "openat": 56,
        "socket": 198,
        "process_vm_readv": 270,
        "clone": 220,
        "kill": 129,
        "prlimit64": 261,
        "ptrace": 117,
        "execve": 221,
        "pidfd_open": 434,
        "read": 63,
        "memfd_create": 279,
        "unshare": 97,
        "io_uring_setup": 425,
        "clone3": 435,
        "mmap": 222,
        "mprotect": 226,
        "nanosleep": 101,
    },
}
CALLS = NUMBERS[platform.machine()]
#: attaches without stopping whom it attaches to
PTRACE_SEIZE, RLIMIT_NOFILE = 0x4206, 7
PROT_READ_WRITE, PROT_ALL = 3, 7
PRIVATE_ANONYMOUS = 0x22


def main() -> None:
    jail, user, *where = sys.argv[1], *map(int, sys.argv[2:])
    tries = Tries(*where)
    enter = _enter(jail) if jail != "none" else None
    if user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    if enter is not None:
        enter(cpu_s=10, address_space=512 << 20, output=4 << 20)
    print(json.dumps(tries.all()), flush=True)


def _enter(path: str) -> Callable[..., object]:
    spec = importlib.util.spec_from_file_location("jail", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    enter: Callable[..., object] = module.enter
    return enter


class Tries:
    """All that is needed is made beforehand: afterwards there may be no memory to run code in."""

    def __init__(self, pid: int, address: int, size: int) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.syscall.restype = ctypes.c_long
        self.libc.syscall.argtypes = [ctypes.c_long] + [ctypes.c_ulong] * 6
        self.pid, self.size = pid, size
        self.seen = ctypes.create_string_buffer(size)
        self.here = ctypes.create_string_buffer(struct.pack("@PN", ctypes.addressof(self.seen), size))
        self.there = ctypes.create_string_buffer(struct.pack("@PN", address, size))
        self.path = ctypes.create_string_buffer(b"/etc/passwd")
        self.limits = ctypes.create_string_buffer(struct.pack("@NN", 16, 16))
        self.short = ctypes.create_string_buffer(struct.pack("@qq", 0, 1))
        self.page = self.libc.syscall(CALLS["mmap"], 0, 4096, PROT_READ_WRITE, PRIVATE_ANONYMOUS, (1 << 64) - 1, 0)

    def all(self) -> dict[str, object]:
        at = ctypes.addressof
        found = {
            "read another's memory": self.call("process_vm_readv", self.pid, at(self.here), 1, at(self.there), 1),
            "open a file": self.call("openat", (1 << 64) - 100, at(self.path), 0),
            "open a socket": self.call("socket", 2, 1),
            "make a file of memory": self.call("memfd_create", at(self.path), 0),
            "signal another": self.call("kill", self.pid, 0),
            "limit another": self.call("prlimit64", self.pid, RLIMIT_NOFILE, 0, at(self.limits)),
            "hold another": self.call("pidfd_open", self.pid, 0),
            "trace another": self.call("ptrace", PTRACE_SEIZE, self.pid),
            "set up io_uring": self.call("io_uring_setup", 1, at(self.short)),
            "make a namespace": self.call("unshare", 0x1000_0000),
            "run a program": self.call("execve", at(self.path), 0, 0),
            "wait without CPU time": self.call("nanosleep", at(self.short), 0),
            "read from the worker": self.call("read", 0, at(self.seen), 0),
            "run new code": self.call("mprotect", self.page, 4096, PROT_ALL),
            "map new code": self.call("mmap", 0, 4096, PROT_ALL, PRIVATE_ANONYMOUS, (1 << 64) - 1, 0),
            "start a process": self.forked(),
        }
        return found | {"seen": self.seen.raw.decode(errors="replace")}

    def call(self, name: str, *arguments: int) -> dict[str, int]:
        ctypes.set_errno(0)
        given = [*arguments, 0, 0, 0, 0, 0, 0][:6]
        value = self.libc.syscall(CALLS[name], *given)
        return {"did": value} if value >= 0 else {"refused": ctypes.get_errno()}

    def forked(self) -> dict[str, int]:
        found = self.call("clone", int(signal.SIGCHLD))
        if found.get("did") == 0:
            self.libc._exit(0)
        return found


if __name__ == "__main__":
    main()
