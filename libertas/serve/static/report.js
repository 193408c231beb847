// Charts, spans that open the document they stand in (each has an address of its own), and the tint of tokens.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const figures = JSON.parse(document.getElementById("charts").textContent);

  // Figures name colours as CSS variables, so that one figure serves light, dark and print.
  const resolved = (value, style) => {
    if (typeof value === "string") return value.replace(/^var\((--\w+)\)$/, (_, name) => style.getPropertyValue(name).trim());
    if (Array.isArray(value)) return value.map((v) => resolved(v, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, resolved(v, style)]));
    }
    return value;
  };
  const draw = () => {
    const style = getComputedStyle(root);
    const frame = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false,
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: "var(--muted)" },
      hoverlabel: { bgcolor: "var(--sheet)", bordercolor: "var(--line)", font: { color: "var(--ink)", size: 13 } },
    };
    for (const place of document.querySelectorAll("[data-chart]")) {
      const figure = figures[place.dataset.chart];
      const layout = resolved({ ...frame, ...figure.layout }, style);
      Plotly.react(place, resolved(figure.data, style), layout, { displayModeBar: false, responsive: true });
    }
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("beforeprint", () => { root.classList.add("printing"); draw(); });
  addEventListener("afterprint", () => { root.classList.remove("printing"); draw(); });

  const links = [...document.querySelectorAll("a.followed")];
  const panels = [...document.querySelectorAll(".origin")];
  const show = (id) => {
    for (const panel of panels) panel.classList.toggle("open", panel.id === id);
    for (const link of links) link.setAttribute("aria-expanded", String(link.hash === `#${id}`));
  };
  const address = (hash) => history.pushState(null, "", hash || location.pathname + location.search);
  const close = () => { show(""); address(""); };
  const follow = (link) => {
    if (link.getAttribute("aria-expanded") === "true") return close();
    address(link.hash);
    show(link.hash.slice(1));
    document.getElementById(link.hash.slice(1)).scrollIntoView({ block: "nearest" });
  };
  for (const link of links) {
    link.addEventListener("click", (event) => { event.preventDefault(); follow(link); });
    link.addEventListener("keydown", (event) => {
      if (event.key === " ") { event.preventDefault(); follow(link); }
    });
  }
  for (const button of document.querySelectorAll(".origin .close")) button.addEventListener("click", close);
  addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  const visit = () => {
    const panel = panels.find((p) => `#${p.id}` === location.hash);
    if (panel) { show(panel.id); panel.scrollIntoView({ block: "center" }); }
  };
  addEventListener("hashchange", visit);
  addEventListener("popstate", visit);
  if (panels.length) show(panels[0].id); // the longest span, so that the page shows what spans are for
  visit();

  const tints = [...document.querySelectorAll(".tints button")];
  for (const button of tints) {
    button.addEventListener("click", () => {
      document.querySelector(".paper").dataset.tint = button.dataset.tint;
      for (const other of tints) other.setAttribute("aria-pressed", String(other === button));
    });
  }
})();
