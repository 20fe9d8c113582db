// Measure now: the price first, then one round at a time.
"use strict";

(() => {
  const form = document.getElementById("measure");
  if (!form) return;
  const price = document.getElementById("price");
  const start = document.getElementById("start");
  let beside = false;

  function wanted() {
    const chosen = new FormData(form);
    const list = (name) => (chosen.get(name) ? [chosen.get(name)] : []);
    return { providers: list("provider"), prompts: list("prompt") };
  }

  async function estimate() {
    const { providers, prompts } = wanted();
    const asked = new URLSearchParams();
    for (const name of providers) asked.append("provider", name);
    for (const name of prompts) asked.append("prompt", name);
    const told = await TooLoo.call("GET", `/api/v1/system/benchmarks/estimate?${asked}`);
    beside = told.running !== null;
    const cost = told.estimatedCostUsd >= 0.01 ? told.estimatedCostUsd.toFixed(2) : told.estimatedCostUsd.toPrecision(2);
    price.textContent = `${told.probes} probes, about $${cost}.`
      + (told.budget ? ` ${told.budget}` : "")
      + (beside ? ` ${told.running} is under way: a second one beside it is paid in full, and they slow each other.` : "");
    start.textContent = beside ? "Measure beside it all the same" : "Measure now";
    start.hidden = told.probes === 0;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    start.hidden = true;
    try {
      await estimate();
    } catch (error) {
      price.textContent = `Not estimated: ${error.message}`;
    }
  });
  form.addEventListener("change", () => { start.hidden = true; price.textContent = ""; });

  start.addEventListener("click", async () => {
    start.disabled = true;
    try {
      const { roundId } = await TooLoo.call("POST", "/api/v1/system/benchmarks", { ...wanted(), ...(beside ? { beside } : {}) });
      location.assign(`${TooLoo.base}/rounds/${encodeURIComponent(roundId)}`);
    } catch (error) {
      price.textContent = `Not started: ${error.message}`;
      start.hidden = true;
      start.disabled = false;
    }
  });
})();
