// What if: three weights that always sum to 1, a replay of them, and the same as a revision.
"use strict";

(() => {
  const form = document.getElementById("what-if");
  const weights = [...form.querySelectorAll("input[type=range]")];
  const names = { latencyMs: "latency, mean", p50Ms: "latency, p50", p95Ms: "latency, p95", costUsd: "cost per call", success: "success", quality: "quality", utility: "utility" };

  function figure(name, value) {
    if (value === null || value === undefined) return "–";
    if (name.endsWith("Ms")) return `${Math.round(value)} ms`;
    if (name === "costUsd") return `$${Number(value.toPrecision(4))}`;
    return value.toFixed(3);
  }

  function signed(name, value) {
    return `${value < 0 ? "−" : "+"}${figure(name, Math.abs(value))}`;
  }

  function difference(name, told) {
    if (!told) return "–";
    if (told.low === null) return told.verdict || "–";
    if (told.verdict === "cannot tell") return "cannot tell";
    return `${signed(name, told.value)} (between ${signed(name, told.low)} and ${signed(name, told.high)})`;
  }

  // The one that is moved holds; the others keep their proportion.
  function balance(moved) {
    const others = weights.filter((each) => each !== moved);
    const rest = 1 - Number(moved.value);
    const sum = others.reduce((total, each) => total + Number(each.value), 0);
    for (const each of others) each.value = sum > 0 ? (rest * Number(each.value)) / sum : rest / others.length;
    show();
  }

  function show() {
    for (const each of weights) document.getElementById(`o-${each.name}`).textContent = Number(each.value).toFixed(2);
  }

  function asked() {
    const given = Object.fromEntries(weights.map((each) => [each.name, Number(each.value)]));
    const total = Object.values(given).reduce((sum, each) => sum + each, 0);
    const latency = Math.round((given.latency / total) * 100) / 100;
    const cost = Math.round((given.cost / total) * 100) / 100;
    const objective = {};
    for (const each of form.querySelectorAll("[data-objective]")) objective[each.dataset.objective] = Number(each.value);
    return { weights: { latency, cost, reliability: Math.round((1 - latency - cost) * 100) / 100 }, objective };
  }

  function row(body, cells) {
    const made = body.insertRow();
    cells.forEach((text, place) => {
      const cell = document.createElement(place ? "td" : "th");
      if (!place) cell.scope = "row";
      cell.textContent = text;
      made.append(cell);
    });
  }

  function tell(data) {
    document.getElementById("told").hidden = false;
    document.getElementById("moved").textContent = data.requests
      ? `${(data.moved * 100).toFixed(1)} % of ${data.requests} requests would have gone elsewhere, by ${data.rounds} rounds${data.simulated ? " (simulated)" : ""}.`
      : "No request is recorded after the first round of that time; only the order can be told.";
    const figures = document.getElementById("figures");
    figures.replaceChildren();
    for (const [name, title] of Object.entries(names)) {
      row(figures, [title, figure(name, data.now[name]), figure(name, data.whatIf[name]), difference(name, data.differences[name])]);
    }
    const shares = document.getElementById("shares");
    shares.replaceChildren();
    const flips = Object.fromEntries(data.flips.map((each) => [each.target, `${each.now} → ${each.whatIf}`]));
    const targets = new Set([...Object.keys(data.now.shares), ...Object.keys(data.whatIf.shares), ...Object.keys(flips)]);
    for (const name of targets) {
      const [before, after] = [data.now, data.whatIf].map((side) => `${((side.shares[name] || 0) * 100).toFixed(1)} %`);
      row(shares, [name, before, after, flips[name] || "the same"]);
    }
  }

  async function replay(event) {
    event.preventDefault();
    TooLoo.trouble("");
    try {
      const { from, to } = form.dataset;
      tell(await TooLoo.call("POST", `/api/v1/system/what-if?from=${from}&to=${to}`, asked()));
      TooLoo.say("replayed");
    } catch (error) {
      TooLoo.trouble(error.message);
    }
  }

  async function apply(event) {
    event.preventDefault();
    TooLoo.trouble("");
    const reason = document.getElementById("reason").value;
    try {
      const made = await TooLoo.call("POST", "/api/v1/system/runtime-config", { weights: asked().weights, reason });
      TooLoo.say(`applied as revision ${made.version}`);
      document.getElementById("moved").textContent = `Applied as revision ${made.version}: ${reason}`;
    } catch (error) {
      TooLoo.trouble(error.message);
    }
  }

  for (const each of weights) each.addEventListener("input", () => balance(each));
  form.addEventListener("submit", replay);
  document.getElementById("apply")?.addEventListener("submit", apply);
})();
