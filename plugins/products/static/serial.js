// Case form: tells at once which item a serial number is, fills in the product, and offers the item's customer.
(function () {
  "use strict";
  const box = document.querySelector("[data-products-lookup]");
  const form = box && box.closest("form");
  const serial = form && form.elements.namedItem("serial_text");
  if (!serial) return;
  const hint = Array.from(box.childNodes);
  let asked = "";

  function field(name) { return form.elements.namedItem(name); }

  function element(tag, text, className) {
    const made = document.createElement(tag);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function fillProduct(item) {
    const product = field("product_text");
    // What staff typed stays; what an earlier look-up filled in is replaced.
    if (product && (!product.value.trim() || product.dataset.filledBy === "products")) {
      product.value = item.text;
      product.dataset.filledBy = "products";
    }
  }

  // The form itself takes a customer when such a link is clicked, and fills in telephone and address.
  function offerCustomer(item) {
    const id = field("customer_id");
    if (!item.customer || !id || id.value) return;
    const link = element("a", box.dataset.takeLabel + " " + item.customer.name, "button small");
    link.href = item.take_url;
    Object.assign(link.dataset, {
      takeCustomer: item.customer.id, name: item.customer.name, number: item.customer.number,
      phone: item.customer.phone, address: item.customer.address,
    });
    link.addEventListener("click", function () { link.remove(); });
    box.append(link);
  }

  function show(item) {
    box.replaceChildren();
    if (!item.found) { box.append(element("p", box.dataset.noneLabel, "muted")); return; }
    const line = element("p", "", "");
    const link = element("a", item.serial);
    link.href = item.url;
    link.target = "_blank";
    link.rel = "noopener";
    line.append(link, " " + [item.text, item.sold_class, item.purchased_on].filter(Boolean).join(" · "));
    for (const mark of item.marks || []) line.append(" ", element("span", mark.label, "badge tone-" + (mark.tone || "neutral")));
    box.append(line);
    fillProduct(item);
    offerCustomer(item);
  }

  async function look() {
    const typed = serial.value.trim();
    if (typed === asked) return;
    asked = typed;
    if (typed.length < 3) { box.replaceChildren(...hint); return; }
    try {
      const answer = await fetch(box.dataset.productsLookup + "?serial=" + encodeURIComponent(typed), { headers: { Accept: "application/json" } });
      if (answer.ok && typed === asked) show(await answer.json());
    } catch (lost) {
      asked = "";  // No network: the next change asks again; the form works without.
    }
  }

  let timer = 0;
  serial.addEventListener("input", function () { clearTimeout(timer); timer = setTimeout(look, 300); });
  serial.addEventListener("change", look);
  if (serial.value) look();
})();
