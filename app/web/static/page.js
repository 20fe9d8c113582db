// What every page does: times in the reader's zone, rows that follow what happens, and how old the figures are.
"use strict";

const TooLoo = (() => {
  const root = document.documentElement;
  const base = root.dataset.base;
  const AMBER_MS = 10_000;
  const RED_MS = 30_000;
  const FOCUSABLE = "a[href], button, summary, input, select, textarea, [tabindex]";

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

  function take({ id, html, mark }) {
    marks.set(id, mark);
    const made = document.createElement("template");
    made.innerHTML = html;
    const row = made.content.firstElementChild;
    if (!row) return;
    localTimes(made.content);
    keepMeaning(row);
    const old = document.getElementById(id);
    if (old) replace(old, row);
    else if (row.dataset.into) insert(row);
  }

  function replace(old, row) {
    old.classList.remove("changed");
    if (old.outerHTML === row.outerHTML) return;
    if (row.hasAttribute("data-reload")) { renew(); return; }
    // a range that is being dragged, a button that is held down
    if (old.matches(":active")) { addEventListener("pointerup", () => setTimeout(replace, 0, old, row), { once: true }); return; }
    if (old.textContent.trim()) row.classList.add("changed");
    const back = standing(old);
    old.replaceWith(row);
    back(row);
    if (row.dataset.say && row.dataset.say !== old.dataset.say) say(row.dataset.say);
    document.dispatchEvent(new CustomEvent("tooloo:row", { detail: { row } }));
  }

  // What the reader has done to a part of the page: returns what does the same to the one in its place.
  function standing(old) {
    const all = (within, what) => [...(within.matches(what) ? [within] : []), ...within.querySelectorAll(what)];
    const open = all(old, "details").map((each) => each.open);
    const aside = all(old, ".wide").map((each) => each.scrollLeft);
    const place = all(old, FOCUSABLE).indexOf(document.activeElement);
    return (row) => {
      all(row, "details").forEach((each, i) => { each.open = open[i] ?? false; });
      all(row, ".wide").forEach((each, i) => { each.scrollLeft = aside[i] ?? 0; });
      if (place >= 0) all(row, FOCUSABLE)[place]?.focus({ preventScroll: true });
    };
  }

  // A row that is new, by its time into the list it names, the newest on top; the oldest beyond what the list holds go.
  function insert(row) {
    const list = document.getElementById(row.dataset.into);
    if (!list) { renew(); return; }
    if (!document.dispatchEvent(new CustomEvent("tooloo:new", { detail: { row, list }, cancelable: true }))) return;
    put(row, list);
  }

  function put(row, list) {
    const later = [...list.children].find((each) => Number(each.dataset.at) <= Number(row.dataset.at));
    list.insertBefore(row, later ?? null);
    row.classList.add("changed");
    while (list.children.length > Number(list.dataset.most)) list.lastElementChild.remove();
  }

  // There are parts now that the page was made without. Not before what is being typed is done with, and not in a circle.
  function renew() {
    const typing = document.activeElement && document.activeElement.closest("form");
    if (typing) typing.addEventListener("focusout", () => setTimeout(renew, 0), { once: true });
    else setTimeout(() => location.reload(), Math.max(0, 5000 - performance.now()));
  }

  let source = null;
  let heard = Date.now();
  // the server's time at its last word
  let told = Number(root.dataset.now);
  // by part of the page, which edition it is: what is here already is not sent
  const marks = new Map((root.dataset.marks || "").split(" ").filter(Boolean).map((each) => each.split(":")));

  function listen() {
    if (source || document.hidden || !("live" in root.dataset)) return;
    const asked = new URLSearchParams(location.search);
    if (root.dataset.subject) asked.set("subject", root.dataset.subject);
    asked.set("since", told);
    if (root.dataset.marks) asked.set("marks", [...marks].map((each) => each.join(":")).join(" "));
    source = new EventSource(`${base}/live/${root.dataset.page}?${asked}`);
    const hear = () => { heard = Date.now(); showAge(); };
    source.addEventListener("row", (event) => { hear(); take(JSON.parse(event.data)); });
    source.addEventListener("alive", (event) => { hear(); told = JSON.parse(event.data).now; });
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

  return { base, call, say, trouble, localTimes, keepMeaning, put, now: () => told };
})();
