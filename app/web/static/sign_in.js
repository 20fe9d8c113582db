// A link from a mail brings no SameSite=Strict cookie, so it leads here although there is a session: look again from here.
"use strict";

(async () => {
  const base = document.documentElement.dataset.base;
  const next = document.querySelector("input[name=next]").value;
  const cameHere = new URLSearchParams(location.search).has("next");
  if (!cameHere || document.querySelector("[role=alert]:not([hidden])")) return;
  const answer = await fetch(`${base}/api/v1/session`, { credentials: "same-origin" }).catch(() => null);
  if (answer && answer.ok) location.replace(base + next);
})();
