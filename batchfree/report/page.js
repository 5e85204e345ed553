"use strict";
// Shows, searches and filters the rows. Everything is inserted as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent), rows = data.rows;
  for (const row of rows) {
    if (row.m !== undefined) row.m = data.models[row.m];
    if (row.r !== undefined) row.r = data.replies[row.r];
    for (const vote of row.v || []) vote[0] = data.models[vote[0]];
    for (const attempt of row.t) attempt[1] = data.models[attempt[1]];
  }
  const form = document.getElementById("search"), table = document.getElementById("table");
  const body = table.tBodies[0], more = document.getElementById("more"), matches = document.getElementById("matches");
  const columns = table.tHead.rows[0].cells.length, withExpected = columns === 6;
  const PAGE = 50;
  let chosen = null, found = [], shown = 0;

  const element = (name, text, properties) => {
    const made = document.createElement(name);
    if (text !== undefined && text !== null) made.textContent = text;
    return Object.assign(made, properties);
  };
  const haystacks = rows.map((row) =>
    [row.n, row.i, row.p, row.a, row.r, row.x, row.m, row.e].filter((each) => each != null).join("\n").toLowerCase());

  const models = [...new Set(rows.flatMap((row) => [row.m, ...(row.v || []).map((vote) => vote[0])]))];
  for (const model of models.filter(Boolean).sort()) form.model.append(element("option", model, { value: model }));

  const statuses = {
    right: (row) => row.c === true,
    wrong: (row) => row.c === false,
    split: (row) => new Set((row.v || []).map((vote) => vote[1])).size > 1,
  };
  const fits = (row, place) => {
    const words = form.text.value.toLowerCase(), status = form.status.value, model = form.model.value;
    if (chosen && chosen.row !== undefined && row.n !== chosen.row) return false;
    if (chosen && chosen.expected !== undefined &&
        !(row.k && row.k[0] === chosen.expected && row.k[1] === chosen.answer)) return false;
    if (status && !(statuses[status] ? statuses[status](row) : row.s === status)) return false;
    if (model && row.m !== model && !(row.v || []).some((vote) => vote[0] === model)) return false;
    return haystacks[place].includes(words);
  };

  const detail = (row) => {
    const cell = element("td", null, { colSpan: columns });
    const add = (title, text) => cell.append(element("h4", title), element("pre", text));
    add("Prompt", row.p);
    if (row.a) add("Answer", row.a);
    if (row.x) add("Expected", row.x);
    if (row.e) add("Error", row.e);
    if (row.v) {
      cell.append(element("h4", "Votes"));
      const list = element("ul");
      for (const [model, answer] of row.v) list.append(element("li", `${model}: ${answer}`, { className: "text" }));
      cell.append(list);
    }
    if (row.r || row.a) add("Raw reply", row.r || row.a);
    cell.append(element("h4", "Attempts"));
    const list = element("ol");
    for (const [at, model, what, seconds, size] of row.t) {
      const packed = size > 1 ? `, ${size} rows in the request` : "";
      list.append(element("li", `${at} ${model}: ${what} (${seconds} s${packed})`, { className: "text" }));
    }
    cell.append(row.t.length ? list : element("p", "none"));
    const line = element("tr", null, { className: "detail", id: `row-${row.n}` });
    line.append(cell);
    return line;
  };

  const toggle = (button, line, row) => {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) line.nextSibling.remove();
    else line.after(detail(row));
  };

  const shorten = (text) => (text.length > 140 ? `${text.slice(0, 140)}…` : text);
  const lineOf = (row) => {
    const line = element("tr"), head = element("th", null, { scope: "row" });
    const button = element("button", row.i === undefined ? row.n : `${row.n}: ${row.i}`, { type: "button", className: "cell" });
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => toggle(button, line, row));
    head.append(button);
    line.append(head);
    const cell = (label, text, className) => {
      const made = element("td", text, { className: className || "text" });
      made.dataset.label = label;
      line.append(made);
    };
    cell("prompt", shorten(row.p));
    cell("answer", shorten(row.a || "–"), "text wide");
    if (withExpected) cell("expected", shorten(row.x === undefined ? "–" : row.x));
    cell("status", row.c === false ? `${row.s}, not as expected` : row.s, row.s === "failed" || row.c === false ? "status-failed" : "kinds");
    cell("model", row.m || "–", "text wide");
    return line;
  };

  const showMore = () => {
    const next = found.slice(shown, shown + PAGE);
    body.append(...next.map(lineOf));
    shown += next.length;
    more.hidden = shown >= found.length;
    const about = chosen && chosen.words ? ` (${chosen.words})` : "";
    matches.textContent = `${found.length} of ${rows.length} rows match${about}; ${shown} are shown.`;
  };
  const search = () => {
    found = rows.filter(fits);
    shown = 0;
    body.replaceChildren();
    showMore();
  };
  const choose = (selection) => {
    chosen = selection;
    form.text.value = form.model.value = "";
    form.status.value = selection.wrong ? "wrong" : "";
    search();
    document.getElementById("rows").scrollIntoView();
    const first = body.querySelector("button");
    if (first) {
      if (selection.row !== undefined) first.click();
      first.focus({ preventScroll: true });
    }
  };

  document.getElementById("main").addEventListener("click", (event) => {
    const data = event.target.closest("button.cell")?.dataset;
    if (!data) return;
    if (data.row) choose({ row: Number(data.row), words: `row ${data.row}` });
    else if (data.wrong) choose({ wrong: true });
    else if (data.expected !== undefined)
      choose({ expected: data.expected, answer: data.answer, words: `expected ${data.expected}, answered ${data.answer}` });
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.text.addEventListener("input", search);
  for (const select of [form.status, form.model]) select.addEventListener("change", search);
  form.addEventListener("reset", () => { chosen = null; setTimeout(search); });
  more.addEventListener("click", showMore);
  form.hidden = table.hidden = false;
  search();
})();
