// Keys made and revoked through the API.
"use strict";

(() => {
  const form = document.getElementById("create");

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    TooLoo.trouble("");
    const given = new FormData(form);
    const wanted = { name: given.get("name"), scopes: given.getAll("scope") };
    if (given.get("segment")) wanted.segment = given.get("segment");
    if (given.get("rate")) wanted.ratePerMinute = Number(given.get("rate"));
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
