// Requests that come in: held back while somebody says so, or is at one of those that are shown.
"use strict";

(() => {
  const list = document.getElementById("list");
  const pause = document.getElementById("pause");
  const older = document.getElementById("older");
  if (!list || !pause) return;
  const held = document.getElementById("held");
  let waiting = [];

  const paused = () => "paused" in pause.dataset;
  const busy = () => paused() || list.matches(":hover") || list.contains(document.activeElement);

  function tell() {
    const some = waiting.length ? `${waiting.length} new ${waiting.length === 1 ? "request waits" : "requests wait"}` : "";
    held.textContent = paused() ? some || "No new request comes in before you go on." : some || "New requests come in on top.";
    pause.textContent = paused() ? "Go on" : "Pause";
  }

  function show() {
    const before = list.children.length + waiting.length;
    for (const row of waiting) TooLoo.put(row, list);
    waiting = [];
    if (before > list.children.length) olderFrom(list.lastElementChild);
    tell();
  }

  // The page behind this one begins behind its last row, which is another now. One twice is better than one left out.
  function olderFrom(last) {
    const there = new URL(older.href);
    there.searchParams.set("before", `${(Number(last.dataset.at) + 1) * 1000}.0`);
    there.searchParams.set("to", TooLoo.now());
    older.href = there;
    older.hidden = false;
  }

  document.addEventListener("tooloo:new", (event) => {
    event.preventDefault();
    const row = event.detail.row;
    if (waiting.some((each) => each.id === row.id)) return;
    waiting = [...waiting, row].slice(-Number(list.dataset.most));
    if (busy()) tell();
    else show();
  });
  pause.addEventListener("click", () => {
    pause.toggleAttribute("data-paused");
    if (paused()) tell();
    else show();
  });
  for (const left of ["pointerleave", "focusout"]) list.addEventListener(left, () => setTimeout(() => { if (!busy()) show(); }, 0));
})();
