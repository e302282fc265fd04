// Keys, local times and news. Everything works without this file.
"use strict";
(() => {
  // Times in the viewer's own zone; the exact UTC stays in the title.
  const shown = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.textContent = shown.format(at);
  }

  const typing = (target) => target.closest("input, select, textarea, [contenteditable]") !== null;
  const rows = () => [...document.querySelectorAll("table.list tbody tr:has(.title a)")];
  let at = -1;
  const move = (by) => {
    const all = rows();
    if (all.length === 0) return;
    all[at]?.classList.remove("at");
    at = Math.max(0, Math.min(all.length - 1, at + by));
    all[at].classList.add("at");
    all[at].querySelector(".title a").focus();
  };
  const places = { a: "/alerts", s: "/sites", d: "/devices" };
  let going = false;

  // Single keys can be switched off: localStorage.keys = "off" (WCAG 2.1.4).
  document.addEventListener("keydown", (event) => {
    if (localStorage.getItem("keys") === "off") return;
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) {
      if (event.key === "Escape" && typing(event.target)) event.target.blur();
      return;
    }
    if (going) {
      going = false;
      if (places[event.key]) location.href = places[event.key];
      return;
    }
    const marked = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "o" && at >= 0) rows()[at].querySelector(".title a").click();
    else if (event.key === "g") going = true;
    else if (marked) {
      event.preventDefault();
      if (marked.tagName === "BUTTON") marked.click();
      else marked.focus();
    }
  });

  // On the queue: say when there is something new, and leave the page as it is until the viewer wants it.
  const news = document.querySelector(".news");
  if (news && location.pathname === "/alerts") {
    let seen = null;
    const look = async () => {
      if (document.hidden) return;
      try {
        const answer = await fetch("/api/v1/alerts?limit=1&state=open", { headers: { accept: "application/json" } });
        if (!answer.ok) return;
        const list = await answer.json();
        const mark = `${list.count} ${list.items[0]?.id ?? ""} ${list.items[0]?.version ?? ""}`;
        if (seen !== null && mark !== seen && news.hidden) {
          const link = document.createElement("a");
          link.href = location.href;
          link.textContent = "The queue has changed: show it";
          news.replaceChildren(link);
          news.hidden = false;
        }
        seen ??= mark;
      } catch {
        // The collector is away for a moment; the next look will tell.
      }
    };
    look();
    setInterval(look, 5000);
  }
})();
