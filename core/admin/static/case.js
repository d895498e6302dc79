// Registering a case by phone: who calls, their open cases first, pasted lines, keys.
(function () {
  "use strict";
  const $ = (s, from) => (from || document).querySelector(s);
  const $$ = (s, from) => Array.from((from || document).querySelectorAll(s));
  const box = $("[data-caller]"), place = $("[data-caller-found]"), form = $("[data-intake]");
  if (!form) return;
  const field = (name) => form.elements.namedItem(name);
  let timer = 0, round = 0;

  async function look() {
    const mine = ++round, typed = box.value.trim();
    if (typed.length < 2) { place.replaceChildren(); return; }
    try {
      const answer = await fetch(box.dataset.caller + "?q=" + encodeURIComponent(typed), { headers: { Accept: "text/html" } });
      // Our own server's fragment, escaped there.
      if (answer.ok && mine === round) place.innerHTML = await answer.text();
    } catch (e) { /* no network: the form works without */ }
  }
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, 220);
    const digits = box.value.replace(/[\s-]/g, "");
    const phone = field("contact_phone");
    if (/^\+?\d{7,15}$/.test(digits) && (!phone.value || phone.dataset.fromCaller)) { phone.value = digits; phone.dataset.fromCaller = "1"; }
  });
  box.addEventListener("keydown", (e) => { if (e.key === "Enter") { e.preventDefault(); look(); } });
  if (box.value) look();

  function fill(name, value) {
    const input = field(name);
    if (input && value && !value.includes("*") && (!input.value || input.dataset.fromCaller || name !== "contact_phone")) {
      input.value = value;
      delete input.dataset.fromCaller;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }
  function choose(id, name) {
    field("customer_id").value = id;
    $("[data-chosen-name]").textContent = name;
    $("[data-chosen]").hidden = !id;
    $("[data-new-customer]").hidden = Boolean(id);
  }
  document.addEventListener("click", (event) => {
    const take = event.target.closest("[data-take-customer]");
    if (take) {
      event.preventDefault();
      const d = take.dataset;
      choose(d.takeCustomer, d.name + " " + d.number);
      fill("contact_name", d.contact); fill("contact_phone", d.phone); fill("address_text", d.address);
      const first = $("input[name=nature]", form) || field("description");
      first.focus();
    }
    if (event.target.closest("[data-unchoose]")) { choose("", ""); box.focus(); box.select(); }
  });
  // Chosen elsewhere, e.g. by a serial number.
  field("customer_id").addEventListener("change", (e) => choose(e.target.value, $("[role=combobox]", e.target.closest(".combo")).value));

  // --- what need not be chosen can be taken back by a second click
  form.addEventListener("click", (event) => {
    const radio = event.target;
    if (radio.type !== "radio" || radio.name === "channel") return;
    if (radio.dataset.was === "1") radio.checked = false;
    $$('input[name="' + radio.name + '"]', form).forEach((r) => { r.dataset.was = r.checked ? "1" : ""; });
  });

  // --- a pasted chat line
  const paste = $("[data-paste]");
  async function split() {
    const body = new FormData();
    body.append("csrf_token", paste.dataset.token);
    body.append("text", paste.value);
    const answer = await fetch(paste.dataset.paste, { method: "POST", body, headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const found = await answer.json();
    Object.entries(found).forEach(([name, value]) => { const i = field(name); if (i && value) { i.value = value; i.dispatchEvent(new Event("input", { bubbles: true })); } });
    paste.closest("dialog").close();
    if (found.contact_phone) { box.value = found.contact_phone; look(); }
  }
  $("[data-paste-go]").addEventListener("click", () => split().catch(() => {}));

  // --- keys
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") { event.preventDefault(); form.requestSubmit(); }
    if (event.altKey && /^Digit[1-9]$/.test(event.code)) {
      const button = $$("[data-chase]", place)[Number(event.code.slice(5)) - 1];
      if (button) { event.preventDefault(); button.click(); }
    }
  });
})();
