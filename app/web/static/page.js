// What every page does: times in the reader's zone, rows that follow what happens, and how old the figures are.
"use strict";

const TooLoo = (() => {
  const root = document.documentElement;
  const base = root.dataset.base;
  const AMBER_MS = 10_000;
  const RED_MS = 30_000;

  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short" });
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
  const minute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short" });

  function localTimes(within) {
    for (const time of within.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.getTime())) {
        time.title = time.textContent;
        time.textContent = `${day.format(at)} ${clock.format(at)}`;
      }
    }
  }

  // Tables that become cards on a phone lose what they are to a screen reader: say it.
  function keepMeaning(within) {
    for (const table of within.querySelectorAll("table.cards")) {
      table.setAttribute("role", "table");
      for (const part of table.querySelectorAll("thead, tbody")) part.setAttribute("role", "rowgroup");
    }
    const rows = within.matches && within.matches("tr") ? [within] : within.querySelectorAll("table.cards tr");
    for (const row of rows) {
      row.setAttribute("role", "row");
      for (const cell of row.cells) {
        cell.setAttribute("role", cell.scope === "col" ? "columnheader" : cell.scope === "row" ? "rowheader" : "cell");
      }
    }
  }

  function say(text) {
    document.getElementById("said").textContent = text;
  }

  function trouble(text) {
    const place = document.getElementById("trouble");
    place.hidden = !text;
    place.textContent = text || "";
  }

  // The API, by the page's cookie. Returns its data; throws an Error that says what to do.
  async function call(method, path, body, headers = {}) {
    let answer;
    try {
      answer = await fetch(base + path, {
        method,
        credentials: "same-origin",
        headers: { "Content-Type": "application/json", "X-CSRF-Token": root.dataset.csrf, ...headers },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(20_000),
      });
    } catch (error) {
      throw new Error(error.name === "TimeoutError" ? "no answer within 20 s: look again before you repeat it" : "the API cannot be reached: look at `tooloo doctor` where it runs");
    }
    const told = await answer.json().catch(() => null);
    if (answer.status === 401) location.assign(signInPath());
    if (!answer.ok || !told) {
      const failure = new Error(told && told.error ? told.error.message : `HTTP ${answer.status}`);
      failure.field = told && told.error ? told.error.field : undefined;
      failure.code = told && told.error ? told.error.code : undefined;
      throw failure;
    }
    return told.data;
  }

  function signInPath() {
    const here = location.pathname.slice(base.length) + location.search;
    return `${base}/sign-in?next=${encodeURIComponent(here)}`;
  }

  // ---- rows that follow -------------------------------------------------------------------------------------------

  function replaceRow({ id, html }) {
    const old = document.getElementById(id);
    if (!old) return;
    const made = document.createElement("template");
    made.innerHTML = html;
    const row = made.content.firstElementChild;
    if (!row) return;
    localTimes(made.content);
    keepMeaning(row);
    old.classList.remove("changed");
    if (old.outerHTML === row.outerHTML) return;
    if (old.textContent.trim()) row.classList.add("changed");
    const inside = old.contains(document.activeElement) ? document.activeElement.id : "";
    old.replaceWith(row);
    if (inside && document.getElementById(inside)) document.getElementById(inside).focus();
    if (row.dataset.say && row.dataset.say !== old.dataset.say) say(row.dataset.say);
    document.dispatchEvent(new CustomEvent("tooloo:row", { detail: { id, row } }));
  }

  let source = null;
  let heard = Date.now();

  function listen() {
    if (source || document.hidden || !("live" in root.dataset)) return;
    const asked = new URLSearchParams(location.search);
    if (root.dataset.subject) asked.set("subject", root.dataset.subject);
    source = new EventSource(`${base}/live/${root.dataset.page}?${asked}`);
    const hear = () => { heard = Date.now(); showAge(); };
    source.addEventListener("row", (event) => { hear(); replaceRow(JSON.parse(event.data)); });
    source.addEventListener("alive", hear);
    source.addEventListener("gone", () => { hush(); location.assign(signInPath()); });
    source.addEventListener("error", () => {
      if (source && source.readyState === EventSource.CLOSED) { hush(); againSoon(); }
    });
  }

  function hush() {
    if (source) source.close();
    source = null;
  }

  // A stream that was refused is not taken up again by the browser: ask why, and come back.
  function againSoon() {
    setTimeout(async () => {
      const answer = await fetch(`${base}/api/v1/session`, { credentials: "same-origin" }).catch(() => null);
      if (answer && answer.status === 401) location.assign(signInPath());
      else listen();
    }, 2000);
  }

  function showAge() {
    const place = document.getElementById("age");
    if (!place || !("live" in root.dataset) || document.hidden) return;
    const silent = Date.now() - heard;
    const state = silent > RED_MS ? "red" : silent > AMBER_MS ? "amber" : "";
    if (place.dataset.state === "red" && state === "") say("The API answers again.");
    if (place.dataset.state !== "red" && state === "red") say("No word from the API: the figures are old.");
    place.dataset.state = state;
    place.className = state ? `age ${state}` : "age";
    root.classList.toggle("stale", state === "red");
    document.getElementById("age-text").textContent = state === "red"
      ? `no word from the API since ${minute.format(heard)}: figures are from then. Is it running? \`tooloo doctor\` says more`
      : `as of ${clock.format(heard)}`;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hush();
    else listen();
  });
  addEventListener("pagehide", hush);
  addEventListener("pageshow", listen);

  localTimes(document);
  keepMeaning(document);
  listen();
  setInterval(showAge, 1000);

  return { base, call, say, trouble, localTimes, keepMeaning };
})();
