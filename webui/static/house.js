// What pages do by themselves: renew fragments, ask before what cannot be undone, copy a line. Everything works without it, by reloading.
"use strict";
(() => {
  // A fragment with data-live is replaced by what its address returns, while somebody can see it and is not in the middle of it.
  const renew = async (part) => {
    if (document.hidden || part.contains(document.activeElement)) { return; }
    try {
      const answer = await fetch(part.dataset.live, { headers: { "X-Live": "1" }, redirect: "manual" });
      if (answer.type === "opaqueredirect" || answer.status === 401) { window.location.reload(); return; }
      if (answer.ok) { part.innerHTML = await answer.text(); delete part.dataset.stale; if (answer.headers.get("X-Done")) { clearInterval(part.timer); } }
      else { part.dataset.stale = "1"; }
    } catch { part.dataset.stale = "1"; }
  };
  for (const part of document.querySelectorAll("[data-live]")) {
    part.timer = setInterval(() => renew(part), 1000 * Number(part.dataset.every || 5));
  }
  // A form with data-confirm asks first.
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) { event.preventDefault(); }
  });
  // A button with data-copy puts the text of the element that it names on the clipboard.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) { navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim()); }
  });
  // A button with data-print prints the page.
  document.addEventListener("click", (event) => { if (event.target.closest("[data-print]")) { window.print(); } });
  // A field with data-browser-time is filled with the time of this browser when its form is sent.
  document.addEventListener("submit", (event) => {
    for (const field of event.target.querySelectorAll("[data-browser-time]")) { field.value = new Date().toISOString(); }
  });
  // A field with data-composed shows the name that the fields it lists make together, until somebody types another.
  for (const name of document.querySelectorAll("[data-composed]")) {
    const parts = name.dataset.composed.split(" ").map((part) => name.form.elements[part]);
    const plain = (text) => text.toLowerCase().replaceAll("đ", "d").normalize("NFD").replace(/[\u0300-\u036f]/g, "").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
    const compose = () => parts.map((part) => plain(part.value)).filter(Boolean).join("-").slice(0, 63);
    let composed = compose();
    for (const part of parts) {
      part.addEventListener("input", () => { if (!name.value || name.value === composed) { name.value = compose(); } composed = compose(); });
    }
  }
  // A list of time zones with data-browser-zone, as long as it shows the entry that this names, shows the browser's own.
  for (const list of document.querySelectorAll("[data-browser-zone]")) {
    const older = { "Asia/Saigon": "Asia/Ho_Chi_Minh", "Asia/Calcutta": "Asia/Kolkata", "Asia/Rangoon": "Asia/Yangon", "Asia/Katmandu": "Asia/Kathmandu" };
    const said = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const zone = older[said] || said;
    if (list.value === list.dataset.browserZone && [...list.options].some((option) => option.value === zone)) { list.value = zone; }
  }
  // A clock goes: that of the box from the seconds in data-clock on, one without seconds is the browser's. Both in the zone that data-zone names.
  const began = Date.now();
  const clocks = document.querySelectorAll("[data-clock]");
  const tick = () => {
    for (const clock of clocks) {
      const at = clock.dataset.clock ? 1000 * Number(clock.dataset.clock) + Date.now() - began : Date.now();
      clock.textContent = new Date(at).toLocaleTimeString(document.documentElement.lang, { timeZone: clock.dataset.zone || undefined, hourCycle: "h23" });
    }
  };
  if (clocks.length) { tick(); setInterval(tick, 1000); }
})();
