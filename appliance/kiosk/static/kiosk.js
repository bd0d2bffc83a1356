"use strict";
/* The little that needs a script: polling, going blank, the alarm's sound, one step of a form at a time. Every page works
   without it, except the moving number. Nothing is loaded from anywhere else. */

(() => {
  const body = document.body;
  body.classList.add("scripted");
  let touched = performance.now();
  const idle = () => Math.floor((performance.now() - touched) / 1000);

  for (const kind of ["pointerdown", "keydown"]) {
    document.addEventListener(kind, () => { touched = performance.now(); }, { capture: true, passive: true });
  }

  const ask = async (path) => {
    const answer = await fetch(path, { cache: "no-store", headers: { "X-Idle": String(idle()) } });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  };

  /* A press counts once: the second tap of a nervous finger does nothing. */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => {
      for (const button of document.querySelectorAll("button")) {
        if (button.form === form) button.disabled = true;
      }
    }, 0);
  });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  /* Whoever has pressed something is on the way to another page: drawing this one anew would take that way from them. */
  let left = -Infinity;
  addEventListener("beforeunload", () => { left = performance.now(); });
  const leaving = () => performance.now() - left < 10000;

  /* --- going blank: the patient leaves the screen, one tap returns to the choice of staff --- */
  const blank = Number(body.dataset.blank || 0);
  let busy = false;
  if (blank > 0) {
    setInterval(() => {
      if (busy) touched = Math.max(touched, performance.now() - 1000);
      if (idle() >= blank) location.replace("/blank");
    }, 1000);
  }

  /* --- the status bar and the unseen emergency, on every page --- */
  const bar = document.getElementById("bar");
  let alarmed = body.dataset.alarm || "";
  const status = async () => {
    try {
      const now = await ask("/status.json");
      if (bar) {
        bar.className = "bar " + now.look;
        bar.querySelector("b").textContent = now.text;
        bar.querySelector("span").textContent = now.more;
        const aside = bar.querySelector("a");
        aside.textContent = now.quarantine;
        aside.hidden = !now.quarantine;
      }
      const since = document.getElementById("alarm-since");
      if (since && now.since) since.textContent = now.since;
      asked(now.questions || []);
      if (now.alarm !== alarmed && !leaving()) {
        if (!now.alarm || !typing()) location.reload(); else loud(now.words);
        alarmed = now.alarm;
      }
    } catch (_error) {
      if (bar) {
        bar.className = "bar error";
        bar.querySelector("b").textContent = body.dataset.silent;
        bar.querySelector("span").textContent = "";
      }
    }
  };
  /* A question of a doctor: said on every page, without taking away what is being typed; it chimes until somebody has opened it. */
  let chimed = -Infinity;
  const asked = (open) => {
    const place = document.getElementById("asked"), questions = open.filter((one) => one.href !== location.pathname); /* not on its own page */
    if (!place) return;
    const there = [...place.children].map((one) => one.dataset.mark).join(" ");
    if (there !== questions.map((one) => one.mark).join(" ")) {
      place.replaceChildren(...questions.map((one) => {
        const link = document.createElement("a");
        link.className = "askstrip";
        link.dataset.mark = one.mark;
        link.href = one.href;
        link.textContent = one.words;
        return link;
      }));
      chimed = -Infinity;
    }
    if (questions.some((one) => one.mark.endsWith("!")) && performance.now() - chimed > 20000) { chimed = performance.now(); chime(); }
  };
  const chime = () => {
    const voice = new AudioContext();
    for (const [at, pitch] of [[0, 523], [0.25, 784]]) {
      const note = voice.createOscillator(), level = voice.createGain();
      note.frequency.value = pitch;
      level.gain.value = 0.25;
      note.connect(level).connect(voice.destination);
      note.start(voice.currentTime + at);
      note.stop(voice.currentTime + at + 0.22);
    }
    setTimeout(() => voice.close(), 1500);
  };
  const typing = () => [...document.querySelectorAll("input[type=text], input[type=search], textarea")].some((one) => one.value !== one.defaultValue)
    || [...document.querySelectorAll("input[type=checkbox]")].some((one) => one.checked !== one.defaultChecked);
  setInterval(status, 3000);

  /* An alarm that comes while somebody types covers the page without losing what was typed. */
  const loud = (words) => {
    const cover = document.getElementById("cover");
    cover.querySelector(".words").textContent = words;
    cover.hidden = false;
    sound();
  };
  const LOUD = ".alarm:not([hidden]), .off:not([hidden]), .cuffstrip";
  let tone = null;
  const sound = () => {
    if (tone) return;
    tone = new AudioContext();
    const beep = () => {
      if (!document.querySelector(LOUD)) { tone.close(); tone = null; clearInterval(again); return; }
      for (const [at, pitch] of [[0, 880], [0.3, 660], [0.6, 880]]) {
        const voice = tone.createOscillator(), level = tone.createGain();
        voice.frequency.value = pitch;
        level.gain.value = 0.4;
        voice.connect(level).connect(tone.destination);
        voice.start(tone.currentTime + at);
        voice.stop(tone.currentTime + at + 0.25);
      }
    };
    const again = setInterval(beep, 1500);
    tone.resume().then(beep, () => {});
    document.addEventListener("pointerdown", () => tone && tone.resume(), { once: true });
  };
  if (document.querySelector(LOUD)) sound();

  /* --- one thing per page: the steps of a form --- */
  for (const form of document.querySelectorAll("form.steps")) {
    const steps = [...form.querySelectorAll(".step")];
    const back = document.getElementById("step-back"), next = document.getElementById("step-next");
    const send = document.getElementById("step-send"), where = document.getElementById("step-where");
    const leave = document.getElementById("step-leave");
    let at = Math.max(0, steps.findIndex((step) => step.querySelector(".wrong")));
    const asked = steps.findIndex((step) => "#" + step.id === location.hash);
    if (asked >= 0) at = asked;
    const show = () => {
      steps.forEach((step, n) => step.classList.toggle("now", n === at));
      const last = at === steps.length - 1;
      back.hidden = at === 0;
      if (leave) leave.hidden = at !== 0;
      next.hidden = last;
      send.hidden = !last;
      where.textContent = where.dataset.words.replace("{a}", at + 1).replace("{b}", steps.length);
      document.querySelector("main").scrollTop = 0;
    };
    form.classList.add("stepped");
    back.addEventListener("click", () => { at -= 1; show(); });
    next.addEventListener("click", () => { at += 1; show(); });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.tagName === "INPUT" && at < steps.length - 1) { event.preventDefault(); at += 1; show(); }
    });
    for (const link of document.querySelectorAll(".problem a[href^='#']")) {
      link.addEventListener("click", (event) => {
        const field = document.getElementById(link.hash.slice(1));
        if (!field) return;
        event.preventDefault();
        at = steps.findIndex((step) => step.contains(field));
        show();
        (field.querySelector("input, textarea") || field).focus();
      });
    }
    show();
  }
  const problem = document.querySelector(".problem");
  if (problem) problem.focus();

  /* --- the PIN: dots instead of digits, sent with the last one; without this script each key is sent by itself --- */
  const pinForm = document.getElementById("pin");
  if (pinForm && pinForm.querySelector("input[name=pin]")) {
    const typed = pinForm.querySelector("input[name=pin]"), most = Number(pinForm.dataset.digits);
    const put = (text) => {
      if (pinForm.dataset.sent) return;
      typed.value = text.slice(0, most);
      pinForm.querySelectorAll(".dots i").forEach((dot, n) => dot.classList.toggle("on", n < typed.value.length));
      if (typed.value.length === most) pinForm.requestSubmit();
    };
    pinForm.addEventListener("click", (event) => {
      const key = event.target.closest("button[name=key]");
      if (!key || !key.value) return;
      event.preventDefault();
      put(key.value === "back" ? typed.value.slice(0, -1) : typed.value + key.value);
    });
    document.addEventListener("keydown", (event) => {
      if (/^[0-9]$/.test(event.key)) put(typed.value + event.key);
      else if (event.key === "Backspace") put(typed.value.slice(0, -1));
      else return;
      event.preventDefault();
    });
  }

  /* --- a clock that runs down: at its end the page is drawn anew --- */
  const clock = document.querySelector("[data-left]");
  if (clock) {
    const end = performance.now() + Number(clock.dataset.left) * 1000;
    const tick = () => {
      const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
      clock.textContent = Math.floor(left / 60) + ":" + String(left % 60).padStart(2, "0");
      if (left > 0) setTimeout(tick, 250); else if (Number(clock.dataset.left) > 0 && !leaving()) location.reload();
    };
    tick();
  }

  /* --- breaths are counted by tapping: the first tap starts the clock, each later one is a breath --- */
  const counter = document.querySelector("[data-counter]");
  if (counter) {
    const button = counter.querySelector(".tap"), shown = button.querySelector("b"), words = button.querySelector("span");
    const field = counter.querySelector("input[name=count]");
    let count = -1, end = 0;
    const seconds = () => Number((counter.querySelector("input[name=seconds]:checked") || { value: 60 }).value);
    const lock = (on) => { for (const one of counter.querySelectorAll("input[name=seconds]")) one.disabled = on; };
    const say = (number, text) => { shown.textContent = number; words.textContent = text; };
    const rest = () => { count = -1; lock(false); say("", button.dataset.start); };
    const tick = () => {
      const left = Math.ceil((end - performance.now()) / 1000);
      if (left > 0) { say(count, left + " s · " + counter.dataset.tap); setTimeout(tick, 200); return; }
      field.value = String(count);
      field.dispatchEvent(new Event("input", { bubbles: true }));
      say(count, counter.dataset.ended);
      count = -2;
      lock(false);
      setTimeout(() => { if (count === -2) { count = -1; words.textContent = counter.dataset.ended + " · " + counter.dataset.again; } }, 1500);
    };
    button.addEventListener("pointerdown", () => {
      if (count === -2) return; /* the taps that come after the time is up */
      if (count === -1) { count = 0; field.value = ""; end = performance.now() + seconds() * 1000; lock(true); tick(); return; }
      count += 1;
      shown.textContent = String(count);
    });
    button.hidden = false;
    rest();
  }

  /* --- two identifiers before the button wakes up; a text field that belongs to one choice --- */
  for (const form of document.querySelectorAll("form[data-least]")) {
    const check = () => {
      const enough = form.querySelectorAll("input[type=checkbox]:checked").length >= Number(form.dataset.least);
      for (const button of document.querySelectorAll("button")) if (button.form === form) button.disabled = !enough;
    };
    form.addEventListener("change", check);
    check();
  }
  for (const field of document.querySelectorAll("[data-with]")) {
    const [name, value] = field.dataset.with.split("=");
    const check = () => { const one = document.querySelector(`input[name="${name}"]:checked`); field.hidden = !one || one.value !== value; };
    document.addEventListener("change", check);
    check();
  }

  /* --- a consult's page follows what happens to it --- */
  const consult = document.querySelector("[data-consult]");
  if (consult) {
    setInterval(async () => {
      try {
        const now = await ask(consult.dataset.consult);
        if (now.page !== consult.dataset.page && !typing() && !leaving()) location.reload();
      } catch (_error) { /* the status bar says it */ }
    }, 2000);
  }

  /* --- the moving number --- */
  const live = document.querySelector("[data-live]");
  if (live) {
    const put = (name, text) => {
      const cell = live.querySelector(`[data-metric="${name}"]`);
      if (cell) { cell.textContent = text || "–"; cell.classList.toggle("none", !text); }
    };
    const say = (id, text) => { const one = document.getElementById(id); if (one) { one.textContent = text; one.hidden = !text; } };
    let misses = 0;
    const turn = async () => {
      try {
        const now = await ask(live.dataset.live);
        misses = 0;
        busy = now.measuring;
        if (now.page !== live.dataset.page && !leaving()) { location.reload(); return; }
        for (const [name, text] of Object.entries(now.numbers)) put(name, text);
        put("CUFF", now.pressure);
        say("live-state", now.text);
        document.getElementById("live-state")?.classList.toggle("bad", now.lost);
        say("live-note", now.note);
        const wave = document.getElementById("wave");
        if (wave) wave.setAttribute("width", String(now.signal ?? 0));
        const off = document.getElementById("off");
        if (off) { off.hidden = !now.cuff_off; if (now.cuff_off) sound(); }
      } catch (_error) {
        misses += 1;
        if (misses > 3) {
          for (const cell of live.querySelectorAll("[data-metric]")) { cell.textContent = "–"; cell.classList.add("none"); }
          say("live-state", live.dataset.lost);
        }
      }
      setTimeout(turn, 300);
    };
    turn();
  }

  /* --- keys on the screen, for fingers only: whoever has a keyboard or a mouse never sees them --- */
  const TONES = { "´": "\u0301", "`": "\u0300", "ˀ": "\u0309", "˜": "\u0303", "·": "\u0323" };
  const TONE = /[\u0300\u0301\u0303\u0309\u0323]/g;
  const LETTERS = [
    ["ă", "â", "ê", "ô", "ơ", "ư", "đ", "´", "`", "ˀ", "˜", "·"],
    ["q", "w", "e", "r", "t", "y", "u", "i", "o", "p"],
    ["a", "s", "d", "f", "g", "h", "j", "k", "l"],
    ["⇧", "z", "x", "c", "v", "b", "n", "m", "⌫"],
    ["123", ",", " ", ".", "✓"],
  ];
  const NUMBERS = [["1", "2", "3", "4", "5"], ["6", "7", "8", "9", "0"], ["abc", "/", "-", ".", "⌫", "✓"]];
  const ASCII = [
    ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "-"],
    ["q", "w", "e", "r", "t", "y", "u", "i", "o", "p"],
    ["a", "s", "d", "f", "g", "h", "j", "k", "l"],
    ["⇧", "z", "x", "c", "v", "b", "n", "m", "⌫"],
    ["#+=", "_", " ", ".", "✓"],
  ];
  const SIGNS = [["!", "@", "#", "$", "%", "^", "&", "*", "(", ")"], ["+", "=", "/", "\\", "|", "~", ":", ";"], ["<", ">", "[", "]", "{", "}", "?"], ["azq", "\"", "'", ",", "⌫", "✓"]];
  const DIGITS = [["1", "2", "3", "4", "5"], ["6", "7", "8", "9", "0"], ["/", "⌫", "✓"]];
  const DECIMAL = [["1", "2", "3", "4", "5"], ["6", "7", "8", "9", "0"], [",", "⌫", "✓"]];
  const WORDS = { " ": body.dataset.space, azq: "abc", "✓": body.dataset.done, "´": "á", "`": "à", "ˀ": "ả", "˜": "ã", "·": "ạ" };
  let pad = null, field = null, touch = false, capital = false;

  /* The vowel that carries the tone: the marked one; else the one before a final consonant; else the first of two, the middle of three. */
  const toned = (text, tone) => {
    const at = text.search(/[^\s\d.,/-]*$/);
    const word = text.slice(at);
    const bare = word.normalize("NFD").replace(TONE, "").normalize("NFC");
    const had = word.normalize("NFD").includes(tone);
    const found = /^(?:[^aăâeêioôơuưy]*?(?:q(?=u)|g(?=i[aăâeêoôơuư]))?)?((?:(?<=q)u|(?<=g)i(?=[aăâeêoôơuư]))?)([aăâeêioôơuưy]+)([^aăâeêioôơuưy]*)$/i.exec(bare);
    if (!found) return text;
    const start = bare.length - found[3].length - found[2].length, group = found[2].toLowerCase();
    let place = [...group].map((sign) => "ăâêôơư".includes(sign)).lastIndexOf(true);
    if (place < 0) place = found[3] ? group.length - 1 : group.length === 3 ? 1 : /^(oa|oe|uy)$/.test(group) ? 1 : 0;
    const spot = start + place;
    const made = had ? bare : bare.slice(0, spot) + (bare[spot] + tone).normalize("NFC") + bare.slice(spot + 1);
    return text.slice(0, at) + made;
  };
  const type = (key) => {
    let from = field.selectionStart, to = field.selectionEnd, before = field.value.slice(0, from);
    const after = field.value.slice(to);
    if (key === "⌫") before = from === to ? [...before].slice(0, -1).join("") : before;
    else if (TONES[key]) before = toned(before, TONES[key]);
    else before += key;
    if (field.maxLength > 0 && before.length + after.length > field.maxLength) return;
    field.value = before + after;
    field.setSelectionRange(before.length, before.length);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const press = (key) => {
    if (key === "✓") { const search = field.closest("form.search"); hide(); if (search) search.requestSubmit(); return; }
    if (key === "⇧") capital = !capital;
    else if (key === "123") { draw(NUMBERS); return; }
    else if (key === "abc") { draw(LETTERS); return; }
    else if (key === "#+=") { draw(SIGNS); return; }
    else if (key === "azq") { draw(ASCII); return; }
    else { type(capital ? key.toUpperCase() : key); if (!TONES[key]) capital = false; }
    caps();
  };
  /* A name's words begin with a capital letter by themselves, a sentence only at its start. */
  const caps = () => {
    if (!pad || !field) return;
    const before = field.value.slice(0, field.selectionStart);
    if (field.dataset.keys !== "ascii" && (before === "" || (/\s$/.test(before) && ["name", "village"].includes(field.name)))) capital = true;
    for (const key of pad.querySelectorAll("button")) if (/^\p{L}$/u.test(key.dataset.key) && !TONES[key.dataset.key]) key.textContent = capital ? key.dataset.key.toUpperCase() : key.dataset.key;
  };
  const draw = (rows) => {
    pad.replaceChildren(...rows.map((row) => {
      const line = document.createElement("div");
      for (const key of row) {
        const button = document.createElement("button");
        button.type = "button";
        button.dataset.key = key;
        button.textContent = WORDS[key] || key;
        button.className = key === " " ? "space" : key === "✓" ? "wide done" : ["⇧", "⌫", "123", "abc", "#+=", "azq"].includes(key) ? "wide" : TONES[key] ? "tone" : "";
        line.append(button);
      }
      return line;
    }));
    caps();
  };
  const hide = () => {
    if (pad) pad.remove();
    pad = null;
    body.classList.remove("typing");
    if (field) field.blur();
  };
  document.addEventListener("pointerdown", (event) => {
    touch = event.pointerType === "touch";
    if (!pad) return;
    const key = event.target.closest(".keys button");
    if (key) { event.preventDefault(); if (key.dataset.key !== "✓") press(key.dataset.key); }
  });
  /* Done only when the finger is up: the keys go, and the tap must not end on the button that comes back under it. */
  document.addEventListener("click", (event) => { if (event.target.closest('.keys [data-key="✓"]')) press("✓"); });
  document.addEventListener("mousedown", (event) => { if (event.target.closest(".keys")) event.preventDefault(); });
  const open = (event) => {
    if (!touch || !event.target.dataset || !event.target.dataset.keys || (pad && field === event.target)) return;
    field = event.target;
    field.inputMode = "none";
    if (!pad) {
      pad = document.createElement("div");
      pad.className = "keys";
      body.append(pad);
      body.classList.add("typing");
    }
    draw({ letters: LETTERS, decimal: DECIMAL, ascii: ASCII }[field.dataset.keys] || DIGITS);
    field.scrollIntoView({ block: "center" });
  };
  document.addEventListener("click", (event) => {
    if (pad && !event.target.closest(".keys") && !event.target.dataset.keys) hide();
  });
  /* Not at focusin: the page makes room for the keys, and a finger that is still down would then click on something else. */
  document.addEventListener("click", open);
})();
