// A change of the config: what was altered becomes a partial update, previewed by the API, and written with a reason.
"use strict";

(() => {
  const form = document.getElementById("change");
  const preview = document.getElementById("preview");
  const moves = document.getElementById("moves");
  const may = !document.querySelector("#change input[disabled]");
  // what stood there when the page was made: the update is against that version, and is refused if another came first
  const version = document.getElementById("version").dataset.version;
  let change = null;

  function altered() {
    const found = {};
    for (const input of form.querySelectorAll("[data-path]")) {
      const isSwitch = input.type === "checkbox";
      if (isSwitch ? input.checked === input.defaultChecked : input.value === input.defaultValue) continue;
      if (!isSwitch && (input.value.trim() === "" || !Number.isFinite(Number(input.value)))) throw new Error(`${input.dataset.path} must be a number`);
      put(found, input.dataset.path, isSwitch ? input.checked : Number(input.value));
    }
    if (found.weights) found.weights = whole("weights");
    const more = document.getElementById("more").value.trim();
    return more ? merged(found, parsed(more)) : found;
  }

  // The path of a provider holds its name, which may have dots: only the first and the last step are ours.
  function put(into, path, value) {
    const first = path.indexOf(".");
    if (first < 0) { into[path] = value; return; }
    const last = path.lastIndexOf(".");
    const head = path.slice(0, first);
    into[head] ??= {};
    if (first === last) into[head][path.slice(first + 1)] = value;
    else (into[head][path.slice(first + 1, last)] ??= {})[path.slice(last + 1)] = value;
  }

  function whole(name) {
    const inputs = [...form.querySelectorAll(`[data-path^="${name}."]`)];
    return Object.fromEntries(inputs.map((input) => [input.dataset.path.slice(name.length + 1), Number(input.value)]));
  }

  function parsed(text) {
    let given;
    try { given = JSON.parse(text); } catch (error) { throw new Error(`the rest is not JSON: ${error.message}`); }
    if (given === null || typeof given !== "object" || Array.isArray(given)) throw new Error("the rest must be a JSON object");
    return given;
  }

  function merged(one, other) {
    for (const [key, value] of Object.entries(other)) {
      const both = one[key] && value && typeof one[key] === "object" && typeof value === "object";
      one[key] = both ? merged(one[key], value) : value;
    }
    return one;
  }

  function line(parent, tag, text) {
    const made = document.createElement(tag);
    made.textContent = text;
    parent.append(made);
    return made;
  }

  function shown(value) {
    return value === undefined ? "–" : JSON.stringify(value);
  }

  function order(plan) {
    const tied = plan.first.length > 1 ? ` (${plan.first.join(" and ")} share the first place)` : "";
    return plan.order.map((each) => (each.score === null ? each.target : `${each.target} ${each.score.toFixed(3)}`)).join(", ") + tied;
  }

  function show(told) {
    moves.replaceChildren();
    if (!told.changes.length) { line(moves, "p", "Nothing: it is so already."); return false; }
    const list = line(moves, "ul", "");
    for (const each of told.changes) line(list, "li", `${each.path}: ${shown(each.from)} → ${shown(each.to)}`);
    const moved = told.orders.filter((each) => each.moves);
    if (!moved.length) line(moves, "p", "No order of targets changes, by what is known of them now.");
    for (const each of moved) {
      const who = each.segment === null ? "everybody" : `segment ${each.segment}`;
      const place = line(moves, "div", "");
      place.className = "note";
      line(place, "p", `Task ${each.taskType}, ${who}:`);
      line(place, "p", `now: ${order(each.before)}`);
      line(place, "p", `then: ${order(each.after)}`);
    }
    return true;
  }

  function failed(error) {
    TooLoo.trouble(error.code === "precondition_failed" ? `${error.message}. Load the page again to see it.` : error.message);
    document.getElementById("main").focus();
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    TooLoo.trouble("");
    preview.hidden = true;
    try {
      change = altered();
      if (!Object.keys(change).length) throw new Error("nothing is altered yet");
      const told = await TooLoo.call("POST", "/api/v1/system/runtime-config/preview", change);
      const some = show(told);
      document.getElementById("apply").hidden = !some;
      document.getElementById("next").textContent = String(Number(version) + 1);
      preview.hidden = false;
    } catch (error) { failed(error); }
  });
  form.addEventListener("reset", () => { preview.hidden = true; TooLoo.trouble(""); });
  form.addEventListener("input", () => { preview.hidden = true; });

  document.getElementById("apply").addEventListener("submit", async (event) => {
    event.preventDefault();
    const reason = document.getElementById("reason").value;
    try {
      await TooLoo.call("POST", "/api/v1/system/runtime-config", { ...change, reason }, { "If-Match": `"${version}"` });
      location.reload();
    } catch (error) { failed(error); }
  });

  const dialog = document.getElementById("rollback");
  if (!may) for (const button of document.querySelectorAll("button.back")) button.remove();
  document.addEventListener("click", (event) => {
    if (!event.target.matches("button.back")) return;
    const target = event.target.dataset.version;
    document.getElementById("rollback-text").textContent = `The settings of revision ${target} become a new revision. Nothing is lost: you can come back.`;
    document.getElementById("rollback-reason").value = "";
    dialog.dataset.version = target;
    dialog.returnValue = "";
    dialog.showModal();
  });
  dialog.addEventListener("close", async () => {
    if (dialog.returnValue !== "go") return;
    try {
      const reason = document.getElementById("rollback-reason").value;
      await TooLoo.call("POST", "/api/v1/system/runtime-config/rollback", { version: Number(dialog.dataset.version), reason });
      location.reload();
    } catch (error) { failed(error); }
  });
})();
