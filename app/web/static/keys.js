// Keys made and revoked through the API.
"use strict";

(() => {
  const form = document.getElementById("create");

  // Of a form, as the API takes them; null ends a limit.
  const number = (given, name) => (given.get(name) ? Number(given.get(name)) : null);
  const limits = (given) => {
    const budget = {};
    if (given.get("dayUsd")) budget.dayUsd = number(given, "dayUsd");
    if (given.get("monthUsd")) budget.monthUsd = number(given, "monthUsd");
    const models = given.get("models").split(",").map((name) => name.trim()).filter(Boolean);
    const bounded = Object.keys(budget).length > 0;
    if (given.get("zone")) budget.zone = given.get("zone");
    budget.hard = !given.get("soft");
    return {
      ratePerMinute: number(given, "rate"),
      tokensPerMinute: number(given, "tokens"),
      inFlight: number(given, "inFlight"),
      budget: bounded ? budget : null,
      models: models.length ? models : null,
    };
  };

  const changing = document.getElementById("changing");
  for (const button of document.querySelectorAll("button.change")) {
    button.addEventListener("click", () => {
      const key = JSON.parse(button.dataset.key);
      const field = changing.querySelector("form").elements;
      document.getElementById("changing-name").textContent = key.name;
      changing.dataset.id = key.id;
      field.rate.value = key.ratePerMinute ?? "";
      field.tokens.value = key.tokensPerMinute ?? "";
      field.inFlight.value = key.inFlight ?? "";
      field.dayUsd.value = key.budget?.dayUsd ?? "";
      field.monthUsd.value = key.budget?.monthUsd ?? "";
      field.zone.value = key.budget?.zone ?? "";
      field.soft.checked = key.budget ? !key.budget.hard : false;
      field.models.value = key.models.join(", ");
      changing.returnValue = "";
      changing.showModal();
    });
  }
  changing.addEventListener("close", async () => {
    if (changing.returnValue !== "go") return;
    const given = new FormData(changing.querySelector("form"));
    try {
      await TooLoo.call("PATCH", `/api/v1/system/keys/${encodeURIComponent(changing.dataset.id)}`, limits(given));
      location.reload();
    } catch (error) {
      TooLoo.trouble(`${error.field ? `${error.field}: ` : ""}${error.message}`);
    }
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    TooLoo.trouble("");
    const given = new FormData(form);
    const wanted = { name: given.get("name"), scopes: given.getAll("scope") };
    if (given.get("segment")) wanted.segment = given.get("segment");
    for (const [field, value] of Object.entries(limits(given))) if (value !== null) wanted[field] = value;
    if (given.get("expires")) wanted.expiresAt = new Date(given.get("expires")).getTime();
    try {
      const made = await TooLoo.call("POST", "/api/v1/system/keys", wanted);
      const place = document.getElementById("made");
      document.getElementById("made-name").textContent = made.name;
      document.getElementById("made-key").textContent = made.key;
      place.hidden = false;
      place.focus();
      form.reset();
    } catch (error) {
      TooLoo.trouble(`${error.field ? `${error.field}: ` : ""}${error.message}`);
    }
  });

  const dialog = document.getElementById("revoking");
  for (const button of document.querySelectorAll("button.revoke")) {
    button.addEventListener("click", () => {
      document.getElementById("revoking-name").textContent = button.dataset.name;
      dialog.dataset.id = button.dataset.id;
      dialog.returnValue = "";
      dialog.showModal();
    });
  }
  dialog.addEventListener("close", async () => {
    if (dialog.returnValue !== "go") return;
    try {
      await TooLoo.call("DELETE", `/api/v1/system/keys/${encodeURIComponent(dialog.dataset.id)}`);
      location.reload();
    } catch (error) {
      TooLoo.trouble(error.message);
    }
  });
})();
