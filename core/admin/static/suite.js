// The suite's behaviour, by delegation on data- attributes: nothing inline, nothing from elsewhere.
(function () {
  "use strict";
  const $ = (s, from) => (from || document).querySelector(s);
  const $$ = (s, from) => Array.from((from || document).querySelectorAll(s));
  const root = document.documentElement;
  const text = (key) => document.body.dataset["text" + key] || "";
  const store = {
    get(k) { try { return localStorage.getItem(k); } catch (e) { return null; } },
    set(k, v) { try { v === null ? localStorage.removeItem(k) : localStorage.setItem(k, v); } catch (e) { /* full or private */ } },
  };

  // --- side bar: groups stay as they were left; the group in use is always open, and all are in the folded bar
  const groups = $$("details[data-group]");
  const left = JSON.parse(store.get("menu") || "{}");
  groups.forEach((d) => {
    if (root.classList.contains("folded") || $("[aria-current]", d)) d.open = true;
    else if (d.dataset.group in left) d.open = left[d.dataset.group];
    $("summary", d).addEventListener("click", () => {
      left[d.dataset.group] = !d.open;
      store.set("menu", JSON.stringify(left));
    });
  });
  // A row of tabs that is too wide shows the one in use.
  $$(".tabs [aria-current]").forEach((tab) => { const row = tab.closest(".tabs"); row.scrollLeft = tab.offsetLeft - row.offsetLeft - 24; });

  // --- toasts
  function toast(message, tone) {
    const box = $("[data-toasts]");
    if (!box) return;
    const one = document.createElement("div");
    one.className = "toast tone-" + (tone || "info");
    const p = document.createElement("p");
    p.textContent = message;
    one.append(p);
    box.append(one);
    setTimeout(() => one.remove(), 7000);
  }
  $$('[data-toast="good"], [data-toast="info"]').forEach((t) => setTimeout(() => t.remove(), 7000));

  // --- confirmation
  function ask(message, label, tone) {
    const dialog = $("#confirm");
    if (!dialog || !dialog.showModal) return Promise.resolve(window.confirm(message));
    $("#confirm-text").textContent = message;
    const yes = $("[data-yes]", dialog);
    yes.textContent = label || text("Ok");
    yes.className = "button " + (tone === "danger" ? "danger solid" : "primary");
    dialog.returnValue = "no";
    dialog.showModal();
    return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }));
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.method === "dialog") return;
    const button = event.submitter;
    const from = button && button.dataset.confirm ? button : form;
    if (from.dataset.confirm && !form.dataset.confirmed) {
      event.preventDefault();
      ask(from.dataset.confirm, from.dataset.confirmLabel, from.dataset.confirmTone).then((yes) => {
        if (!yes) return;
        form.dataset.confirmed = "1";
        const mark = document.createElement("input");
        mark.type = "hidden"; mark.name = "confirmed"; mark.value = "1";
        form.append(mark);
        form.requestSubmit(button || undefined);
        // A download leaves the page as it is: be ready to ask again.
        setTimeout(() => { delete form.dataset.confirmed; mark.remove(); }, 0);
      });
      return;
    }
    if (form.dataset.sent) { event.preventDefault(); return; }
    // A second click sends nothing; the page is replaced, or (for a download) free again soon.
    form.dataset.sent = "1";
    if (button) button.setAttribute("aria-busy", "true");
    // What opens beside the page leaves it as it is: the next button may follow at once.
    const target = (button && button.formTarget) || form.target || "_self";
    const frame = target !== "_self" && $(`iframe[name="${target}"]`);
    if (frame) frame.hidden = false;
    const wait = target === "_self" ? 4000 : 600;
    setTimeout(() => { delete form.dataset.sent; if (button) button.removeAttribute("aria-busy"); }, wait);
  });

  // --- clicks
  function drawer(open) {
    root.classList.toggle("drawer", open);
    $$("[data-drawer]").forEach((b) => b.setAttribute("aria-expanded", String(open)));
    const veil = $(".veil");
    if (veil) veil.hidden = !open;
    if (open) { const first = $(".side a"); if (first) first.focus(); }
  }
  document.addEventListener("click", (event) => {
    const at = event.target.closest ? event.target : document.body;
    $$("details[data-drop][open]").forEach((d) => { if (!d.contains(at)) d.open = false; });
    if (at.closest("[data-dismiss]")) at.closest(".toast, .note").remove();
    else if (at.closest("[data-fold]")) { const folded = root.classList.toggle("folded"); store.set("folded", folded ? "1" : null); if (folded) groups.forEach((d) => { d.open = true; }); }
    else if (at.closest("[data-drawer]")) drawer(!root.classList.contains("drawer"));
    else if (at.closest("[data-drawer-close]")) drawer(false);
    else if (at.closest("[data-help]")) $("#help").showModal();
    else if (at.closest("[data-open]")) { const d = document.getElementById(at.closest("[data-open]").dataset.open); if (d && d.showModal) d.showModal(); }
    else if (at.closest("[data-close]")) at.closest("dialog").close();
    else if (at.closest("[data-print]")) window.print();
    else if (at.closest("[data-copy]")) navigator.clipboard && navigator.clipboard.writeText(at.closest("[data-copy]").dataset.copy).then(() => toast(text("Copied"), "good"));
    else {
      const row = at.closest("[data-row]");
      if (row && !at.closest("a, button, input, label, select, summary") && !String(window.getSelection())) {
        const link = $("[data-row-link]", row);
        if (link) link.click();
      }
    }
  });
  document.addEventListener("toggle", (event) => {
    const d = event.target;
    if (d.matches && d.matches("details[data-drop]") && d.open) { const find = $("[data-find]", d); if (find) find.focus(); }
  }, true);
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-find]")) return;
    const wanted = event.target.value.trim().toLowerCase();
    $$(".drop-item", event.target.closest(".drop-panel")).forEach((i) => { i.hidden = wanted !== "" && !i.textContent.toLowerCase().includes(wanted); });
  });
  // Typing a setting means wanting one's own value.
  document.addEventListener("input", (event) => {
    const own = event.target.closest(".setting") && $("[data-own]", event.target.closest(".setting"));
    if (own && event.target !== own) own.checked = true;
  });
  // Selects that apply at once.
  document.addEventListener("change", (event) => { if (event.target.matches("[data-auto]")) event.target.form.requestSubmit(); });

  // --- keyboard
  let at = -1;
  function move(step) {
    const rows = $$("[data-row]");
    if (!rows.length) return;
    at = Math.max(0, Math.min(rows.length - 1, at + step));
    rows.forEach((r, i) => r.classList.toggle("at", i === at));
    const link = $("[data-row-link], a", rows[at]);
    if (link) link.focus();
    rows[at].scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { $$("details[data-drop][open]").forEach((d) => { d.open = false; $("summary", d).focus(); }); drawer(false); }
    const typing = event.target.closest && event.target.closest("input, textarea, select, [contenteditable]");
    if ((typing && event.target.type !== "checkbox") || event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
    const own = $('[data-key="' + (/^[a-z0-9]$/i.test(event.key) ? event.key : "") + '"]');
    if (event.key === "/") { const s = $$("[data-slash], .toolbar-search input").find((i) => i.offsetParent); if (s) { event.preventDefault(); s.focus(); s.select(); } }
    else if (event.key === "?") { event.preventDefault(); $("#help").showModal(); }
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "x") { const r = $$("[data-row]")[at]; const box = r && $("[data-pick]", r); if (box) { box.checked = !box.checked; chosen(); } }
    else if (event.key === "n" && $("[data-new]")) $("[data-new]").click();
    else if (own) { event.preventDefault(); own.click(); own.focus(); }
  });

  // --- lists: chosen rows, count
  function chosen() {
    const form = $("[data-bulk]");
    if (!form) return;
    const boxes = $$("[data-pick]", form);
    const count = boxes.filter((b) => b.checked).length;
    boxes.forEach((b) => b.closest("tr").classList.toggle("picked", b.checked));
    const bar = $("[data-bulk-bar]", form);
    if (!bar) return;
    bar.hidden = !count;
    $("[data-bulk-count]", form).textContent = text("Lines").replace("{count}", count);
    const all = $("[data-pick-all]", form);
    if (all) { all.checked = count === boxes.length; all.indeterminate = count > 0 && count < boxes.length; }
  }
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-pick-all]")) { $$("[data-pick]").forEach((b) => { b.checked = event.target.checked; }); chosen(); }
    else if (event.target.matches("[data-pick]")) chosen();
  });
  chosen();
  $$("[data-count]").forEach((place) => {
    fetch(place.dataset.count, { headers: { Accept: "application/json" } })
      .then((r) => (r.ok ? r.json() : Promise.reject(r)))
      .then((d) => { place.textContent = place.dataset.word.replace("{count}", d.count); })
      .catch(() => { place.textContent = ""; });
  });

  // --- look-ups
  function later(call, ms) { let timer; return (...given) => { clearTimeout(timer); timer = setTimeout(() => call(...given), ms); }; }
  $$("[data-combo]").forEach((combo) => {
    const box = $('[role="combobox"]', combo), hidden = $('input[type="hidden"]', combo), list = $("ul", combo);
    let items = [], here = -1, round = 0;
    list.id = list.id || "list-" + box.id;
    box.setAttribute("aria-controls", list.id);
    function show(open) { list.hidden = !open; box.setAttribute("aria-expanded", String(open)); }
    function mark() { Array.from(list.children).forEach((li, i) => li.setAttribute("aria-selected", String(i === here))); if (here >= 0) box.setAttribute("aria-activedescendant", list.children[here].id); }
    function take(i) {
      const item = items[i];
      if (!item) return;
      hidden.value = item.id; box.value = item.text; show(false);
      hidden.dispatchEvent(new CustomEvent("taken", { bubbles: true, detail: item }));
    }
    const find = later(() => {
      const mine = ++round;
      const url = new URL(combo.dataset.combo, location.href);
      url.searchParams.set("q", box.value);
      fetch(url).then((r) => r.json()).then((found) => {
        if (mine !== round) return;
        items = found.results || found; here = -1; list.replaceChildren();
        items.forEach((item, i) => {
          const li = document.createElement("li");
          li.id = list.id + "-" + i; li.setAttribute("role", "option"); li.dataset.at = i; li.textContent = item.text;
          if (item.detail) { const s = document.createElement("small"); s.textContent = item.detail; li.append(s); }
          list.append(li);
        });
        if (!items.length) { const li = document.createElement("li"); li.className = "muted"; li.textContent = text("None"); list.append(li); }
        show(true);
      }).catch(() => show(false));
    }, 180);
    box.addEventListener("input", () => { hidden.value = ""; find(); });
    box.addEventListener("focus", () => { if (!hidden.value && box.value) find(); });
    box.addEventListener("keydown", (e) => {
      if (e.key === "ArrowDown" || e.key === "ArrowUp") { e.preventDefault(); here = Math.max(0, Math.min(items.length - 1, here + (e.key === "ArrowDown" ? 1 : -1))); mark(); }
      else if (e.key === "Enter" && !list.hidden) { e.preventDefault(); take(here < 0 ? 0 : here); }
      else if (e.key === "Escape") show(false);
    });
    list.addEventListener("mousedown", (e) => { const li = e.target.closest("[data-at]"); if (li) { e.preventDefault(); take(Number(li.dataset.at)); } });
    box.addEventListener("blur", () => setTimeout(() => show(false), 150));
  });
  $$("[data-suggest]").forEach((form) => {
    const box = $("input[name=q]", form), panel = $("[data-suggest-list]", form);
    if (!panel || !form.dataset.suggest) return;
    let round = 0;
    const find = later(() => {
      const mine = ++round;
      if (!box.value.trim()) { panel.hidden = true; return; }
      fetch(form.dataset.suggest + "?q=" + encodeURIComponent(box.value)).then((r) => (r.ok ? r.text() : "")).then((html) => {
        // Our own server's fragment, escaped there; scripts in it would be stopped by the policy.
        if (mine === round) { panel.innerHTML = html; panel.hidden = !html.trim(); }
      }).catch(() => { panel.hidden = true; });
    }, 180);
    box.addEventListener("input", find);
    box.addEventListener("keydown", (e) => {
      const links = $$("a", panel), now = links.findIndex((a) => a.getAttribute("aria-selected") === "true");
      if (e.key === "Escape") panel.hidden = true;
      else if ((e.key === "ArrowDown" || e.key === "ArrowUp") && links.length) {
        e.preventDefault();
        const next = (now + (e.key === "ArrowDown" ? 1 : -1) + links.length) % links.length;
        links.forEach((a, i) => a.setAttribute("aria-selected", String(i === next)));
      } else if (e.key === "Enter" && now >= 0) { e.preventDefault(); links[now].click(); }
    });
    document.addEventListener("click", (e) => { if (!form.contains(e.target)) panel.hidden = true; });
  });

  // --- progress of long work: poll until done, then reload
  $$("[data-poll]").forEach((place) => {
    function look() {
      fetch(place.dataset.poll, { headers: { Accept: "application/json" } }).then((r) => r.json()).then((d) => {
        const bar = $("progress", place), words = $("[data-poll-text]", place);
        if (bar && d.total) { bar.max = d.total; bar.value = d.done; }
        if (words && d.text) words.textContent = d.text;
        if (d.finished) location.replace(d.url || location.href); else setTimeout(look, 700);
      }).catch(() => setTimeout(look, 3000));
    }
    setTimeout(look, 400);
  });

  // --- photos: smaller in the browser before they are sent
  const MOST = 1600;
  async function smaller(file) {
    if (!/^image\/(jpeg|png|webp)$/.test(file.type) || file.size < 300000 || !window.createImageBitmap) return file;
    try {
      const bitmap = await createImageBitmap(file);
      const scale = Math.min(1, MOST / Math.max(bitmap.width, bitmap.height));
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(bitmap.width * scale); canvas.height = Math.round(bitmap.height * scale);
      canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.82));
      return blob && blob.size < file.size ? new File([blob], file.name.replace(/\.\w+$/, "") + ".jpg", { type: "image/jpeg" }) : file;
    } catch (e) { return file; }
  }
  function showPhotos(box, input) {
    const list = $("[data-photo-list]", box);
    list.replaceChildren();
    Array.from(input.files).forEach((file) => {
      const li = document.createElement("li");
      if (/^image\/(jpeg|png|webp|gif)$/.test(file.type)) {
        const reader = new FileReader(), img = document.createElement("img");
        img.alt = file.name; reader.onload = () => { img.src = reader.result; }; reader.readAsDataURL(file); li.append(img);
      } else li.textContent = file.name;
      list.append(li);
    });
  }
  async function addPhotos(box, input, files, keep) {
    const bag = new DataTransfer();
    if (keep) Array.from(input.files).forEach((f) => bag.items.add(f));
    for (const f of files) bag.items.add(await smaller(f));
    input.files = bag.files;
    showPhotos(box, input);
  }
  function takePhotos(box) {
    const input = $('input[type="file"]', box);
    input.addEventListener("change", () => addPhotos(box, input, Array.from(input.files), false));
  }
  document.addEventListener("paste", (event) => {
    const files = Array.from((event.clipboardData || {}).files || []);
    const box = $("[data-photos]");
    if (!files.length || !box) return;
    event.preventDefault();
    const stamp = new Date().toISOString().replace(/\D/g, "").slice(0, 14);
    addPhotos(box, $('input[type="file"]', box), files.map((f, i) => new File([f], (f.name === "image.png" || !f.name) ? "paste-" + stamp + "-" + i + ".png" : f.name, { type: f.type })), true);
  });

  // --- signature
  function takeSignature(box) {
    const canvas = $("canvas", box), input = $("input", box), pen = canvas.getContext("2d");
    let drawing = false, used = false;
    function wipe() { pen.fillStyle = "#fff"; pen.fillRect(0, 0, canvas.width, canvas.height); used = false; input.value = ""; }
    function spot(e) { const r = canvas.getBoundingClientRect(); return [(e.clientX - r.left) * canvas.width / r.width, (e.clientY - r.top) * canvas.height / r.height]; }
    wipe();
    pen.lineWidth = 3; pen.lineCap = "round"; pen.lineJoin = "round"; pen.strokeStyle = "#111";
    canvas.addEventListener("pointerdown", (e) => { drawing = true; used = true; canvas.setPointerCapture(e.pointerId); pen.beginPath(); pen.moveTo(...spot(e)); e.preventDefault(); });
    canvas.addEventListener("pointermove", (e) => { if (drawing) { pen.lineTo(...spot(e)); pen.stroke(); } });
    ["pointerup", "pointercancel"].forEach((n) => canvas.addEventListener(n, () => { drawing = false; if (used) input.value = canvas.toDataURL("image/png"); }));
    $("[data-clear]", box).addEventListener("click", wipe);
  }

  // What a page holds from the start, or puts in later.
  function wire(from) {
    $$("[data-photos]", from).forEach(takePhotos);
    $$("[data-signature]", from).forEach(takeSignature);
  }
  wire(document);

  // --- drafts: a form with data-draft survives a closed tab and a lost network
  $$("form[data-draft]").forEach((form) => {
    const key = "draft:" + form.dataset.draft;
    const held = JSON.parse(store.get(key) || "null");
    const names = () => $$("input[name], textarea[name], select[name]", form).filter((i) => !["hidden", "file", "password"].includes(i.type) && i.name !== "csrf_token");
    if (held && !form.dataset.fresh) {
      let used = false;
      names().forEach((i) => {
        if (!(i.name in held.values)) return;
        if (i.type === "checkbox" || i.type === "radio") { i.checked = held.values[i.name].includes(i.value); used = true; }
        else if (!i.value) { i.value = held.values[i.name][0] || ""; used = used || Boolean(i.value); }
      });
      if (used) toast(text("Draft").replace("{time}", held.at));
    }
    form.addEventListener("input", later(() => {
      const values = {};
      names().forEach((i) => { const many = i.type === "checkbox" || i.type === "radio"; if (many) { values[i.name] = values[i.name] || []; if (i.checked) values[i.name].push(i.value); } else values[i.name] = [i.value]; });
      store.set(key, JSON.stringify({ at: new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }), values }));
    }, 400));
    form.addEventListener("submit", (e) => {
      if (!navigator.onLine) { e.preventDefault(); e.stopImmediatePropagation(); toast(text("Offline"), "bad"); return; }
    });
  });
  // A page that says a draft has been used up drops it.
  $$("[data-draft-done]").forEach((m) => store.set("draft:" + m.dataset.draftDone, null));

  window.suite = { toast, ask, smaller, wire };
})();
