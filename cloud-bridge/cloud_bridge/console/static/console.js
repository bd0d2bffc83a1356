/* What keeps the pages alive: the part that changes is asked for again, clocks tick, drafts are kept, an emergency is heard. */
(() => {
  "use strict";

  const FAST = 500; // a reading is on the page within half a second of being in the database …
  const SLOW = 2000; // … and within two when nobody has touched the page for two minutes
  const QUIET = 120000;
  const ASKED = 3000; // an emergency is heard within three seconds of being in the database, ten at the very most
  let touched = Date.now();
  for (const what of ["pointerdown", "keydown", "scroll", "focus"]) {
    window.addEventListener(what, () => { touched = Date.now(); }, { passive: true });
  }

  const logIn = () => {
    const where = document.body.dataset.login;
    if (where) window.location.assign(where + "?next=" + encodeURIComponent(window.location.pathname + window.location.search));
  };

  /* --- the part of the page that changes --- */

  const live = document.getElementById("live");
  const renew = async () => {
    let wait = document.hidden || Date.now() - touched > QUIET ? SLOW : FAST;
    try {
      const answer = await fetch(live.dataset.live, {
        headers: { "If-None-Match": `"${live.dataset.version}"`, "X-Tram-Page": "1" }, cache: "no-store", credentials: "same-origin",
      });
      if (answer.status === 401) return logIn();
      if (answer.status === 200) {
        replace(await answer.text(), (answer.headers.get("ETag") || "").replace(/^W\//, "").replace(/"/g, ""));
        touched = Date.now();
      } else if (answer.status !== 304) wait = SLOW;
      live.classList.toggle("away", answer.status >= 500);
    } catch {
      wait = SLOW;
      live.classList.add("away");
    }
    window.setTimeout(renew, wait);
  };

  const replace = (html, version) => {
    const before = new Set([...live.querySelectorAll("[data-key]")].map((row) => row.dataset.key));
    const state = live.querySelector("[data-state]")?.dataset.state;
    const focused = document.activeElement && live.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const parsed = new DOMParser().parseFromString(html, "text/html");
    live.replaceChildren(...parsed.body.childNodes);
    live.dataset.version = version;
    for (const row of live.querySelectorAll("[data-key]")) row.classList.toggle("fresh", !before.has(row.dataset.key));
    if (focused) [...live.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
    const stale = document.getElementById("stale");
    if (stale && state !== live.querySelector("[data-state]")?.dataset.state) stale.hidden = false;
    const news = document.getElementById("news");
    if (news) news.textContent = news.dataset.word;
    document.dispatchEvent(new CustomEvent("tram:new"));
  };

  if (live) window.setTimeout(renew, FAST);

  /* --- waiting times --- */

  const two = (number) => String(number).padStart(2, "0");
  const spell = (seconds) => {
    const days = Math.floor(seconds / 86400);
    const hours = Math.floor(seconds / 3600) % 24;
    const minutes = Math.floor(seconds / 60) % 60;
    const text = days || hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
    return days ? `${days} d ${text}` : text;
  };
  window.setInterval(() => {
    for (const clock of document.querySelectorAll(".clock[data-since]")) {
      const seconds = Math.floor(Date.now() / 1000 - Number(clock.dataset.since) / 10);
      if (seconds >= 0) clock.textContent = spell(seconds);
    }
  }, 1000);

  /* --- filters that send themselves --- */

  for (const select of document.querySelectorAll("[data-submit]")) select.addEventListener("change", () => select.form.requestSubmit());
  for (const button of document.querySelectorAll("[data-no-script]")) button.hidden = true;

  /* --- drafts --- */

  const form = document.querySelector("form[data-draft]");
  if (form) {
    const saved = document.getElementById("saved");
    let timer = 0;
    const keep = async () => {
      timer = 0;
      try {
        const answer = await fetch(form.action, {
          method: "POST", body: new URLSearchParams(new FormData(form)), headers: { "X-Tram-Page": "1" }, credentials: "same-origin",
        });
        if (answer.status === 401) return logIn();
        if (!answer.ok) throw new Error(String(answer.status));
        saved.textContent = `${saved.dataset.word} ${(await answer.json()).saved}`;
      } catch {
        saved.textContent = saved.dataset.failed;
        timer = window.setTimeout(keep, 5000);
      }
    };
    form.addEventListener("input", () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(keep, 800);
    });
    /* Reviewing and signing happen beside the record, which goes on being renewed. */
    const unsaid = document.getElementById("unsaid");
    const review = async () => {
      window.clearTimeout(timer);
      unsaid.hidden = true;
      await keep();
      const answer = await fetch(form.dataset.sign, { headers: { "X-Tram-Page": "1" }, cache: "no-store", credentials: "same-origin" });
      if (answer.status === 401) return logIn();
      const text = await answer.text();
      if (answer.status === 409) {
        unsaid.textContent = text;
        unsaid.hidden = false;
        document.getElementById("advice").focus();
        return;
      }
      if (!answer.ok) return form.submit();
      const card = document.getElementById("answering");
      const parsed = new DOMParser().parseFromString(text, "text/html");
      card.hidden = true;
      card.after(...parsed.body.childNodes);
      const signing = document.getElementById("signing");
      signing.querySelector("#unsign").addEventListener("click", (event) => {
        event.preventDefault();
        signing.remove();
        card.hidden = false;
        document.getElementById("advice").focus();
      });
      document.getElementById("password").focus({ preventScroll: true });
      signing.closest(".side").scrollTop = 0;
    };
    form.addEventListener("submit", (event) => {
      window.clearTimeout(timer);
      if (event.submitter?.value !== "sign") return;
      event.preventDefault();
      review().catch(() => form.submit());
    });
  }

  /* --- emergencies: a badge on every page, a sound until somebody, anywhere, says that they have seen it --- */

  const alarm = document.getElementById("alarm");
  if (alarm && document.body.dataset.emergencies) {
    const title = document.title;
    const button = document.getElementById("sound");
    let version = "";
    let said = { unopened: [], sounding: [], corrected: 0 };
    let sound = null;
    try {
      sound = new AudioContext();
    } catch { /* a browser without sound still has the badge */ }
    const silent = () => { button.hidden = Boolean(sound) && sound.state === "running"; };
    const wake = () => { sound?.resume().then(silent, silent); };
    for (const what of ["pointerdown", "keydown"]) window.addEventListener(what, wake, { passive: true });
    button.addEventListener("click", () => { wake(); ring(); });
    const ring = () => {
      if (!sound || sound.state !== "running") return;
      for (const start of [0, 0.35]) {
        const tone = sound.createOscillator();
        const volume = sound.createGain();
        tone.frequency.value = 880;
        volume.gain.setValueAtTime(0.25, sound.currentTime + start);
        volume.gain.exponentialRampToValueAtTime(0.001, sound.currentTime + start + 0.25);
        tone.connect(volume).connect(sound.destination);
        tone.start(sound.currentTime + start);
        tone.stop(sound.currentTime + start + 0.26);
      }
      document.body.dataset.rung = String(Number(document.body.dataset.rung || 0) + 1);
    };
    const show = () => {
      const count = document.getElementById("review-count");
      count.hidden = said.corrected === 0;
      count.textContent = String(said.corrected);
      const calls = said.sounding.filter((one) => one.startsWith("call/")).length;
      const open = said.unopened.length + calls;
      alarm.hidden = open === 0;
      document.getElementById("alarm-count").textContent = String(open);
      document.title = open ? `(${open}) ${title}` : title;
      const seen = document.getElementById("alarm-seen");
      if (seen) seen.hidden = said.sounding.length === 0;
      if (said.sounding.length) ring();
      silent();
    };
    const look = async () => {
      try {
        const answer = await fetch(document.body.dataset.emergencies, {
          headers: { "X-Tram-Page": "1", "If-None-Match": `"${version}"` }, cache: "no-store", credentials: "same-origin",
        });
        if (answer.status === 401) return logIn();
        if (answer.status === 200) {
          said = await answer.json();
          version = (answer.headers.get("ETag") || "").replace(/^W\//, "").replace(/"/g, "");
        }
      } catch { /* asked again below */ }
      show();
      window.setTimeout(look, ASKED);
    };
    window.setTimeout(look, 0);
  }
})();
