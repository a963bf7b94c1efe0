// The page's style: by day and by night as the reader's system has it, on a phone in one column, on paper in black.
// Text on its ground has a contrast of 4.5 to 1 or more (WCAG 2.2, 1.4.3).

export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f3f5f9;
  --card: #ffffff;
  --line: #e0e5ee;
  --ink: #172033;
  --soft: #566179;
  --brand: #1f3fae;
  --brand-end: #6a2fa3;
  --good: #157347;
  --wait: #8a5a00;
  --bad: #b3261e;
  --shadow: 0 1px 2px #17203314, 0 4px 16px #1720330f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0f1420;
    --card: #182031;
    --line: #2a354b;
    --ink: #e7ecf6;
    --soft: #a3afc6;
    --brand: #1c3693;
    --brand-end: #572787;
    --good: #5fd39a;
    --wait: #f0bd5a;
    --bad: #ff9086;
    --shadow: none;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0;
  background: var(--ground);
  color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
}
header {
  background: linear-gradient(100deg, var(--brand), var(--brand-end));
  color: #ffffff;
}
.band, main, footer {
  max-width: 84rem;
  margin: 0 auto;
  padding: 0 max(1rem, env(safe-area-inset-left));
}
.band {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: .75rem 1rem;
  padding-top: 1.1rem;
  padding-bottom: 4.2rem;
}
.band svg { flex: none; }
.name { flex: 1 1 16rem; min-width: 0; }
h1 { margin: 0; font-size: 1.45rem; line-height: 1.2; overflow-wrap: anywhere; }
.name p { margin: .15rem 0 0; opacity: .92; }
.watch { display: flex; align-items: center; gap: .75rem; margin: 0; }
#live:not(:empty)::before {
  content: "";
  display: inline-block;
  width: .6em;
  height: .6em;
  margin-right: .5em;
  border-radius: 50%;
  background: #7df0b2;
}
#live[data-state="paused"]::before { background: #ffffff; border-radius: 0; }
#live[data-state="lost"]::before { background: #ffc46b; }
button {
  padding: .35rem .9rem;
  border: 1px solid #ffffff8c;
  border-radius: 999px;
  background: #ffffff1f;
  color: inherit;
  font: inherit;
  cursor: pointer;
}
button:hover { background: #ffffff33; }
:focus-visible { outline: 3px solid #f0a93b; outline-offset: 2px; }
main { margin-top: -3rem; }
dl {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr));
  gap: .75rem;
  margin: 0 0 1rem;
}
dl > div, section {
  background: var(--card);
  border: 1px solid var(--line);
  border-radius: 12px;
  box-shadow: var(--shadow);
}
dl > div { padding: .7rem .9rem .75rem; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; }
.value { font-size: 1.4rem; font-weight: 650; line-height: 1.25; white-space: nowrap; }
.detail { color: var(--soft); font-size: .85rem; }
.value, .detail, table { font-variant-numeric: tabular-nums; }
.columns { margin-top: 1rem; display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); align-items: start; }
.columns > div { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); }
section { padding: .9rem 0 .35rem; }
h2 { margin: 0; padding: 0 1rem; font-size: 1.05rem; }
.empty { margin: .1rem 0 .6rem; padding: 0 1rem; color: var(--soft); }
.scroll { overflow-x: auto; }
/* Those that may be long keep their titles in sight. */
#connections .scroll, #ports .scroll { max-height: 42rem; overflow-y: auto; }
#connections thead th, #ports thead th { position: sticky; top: 0; z-index: 1; background: var(--card); }
table { width: 100%; border-collapse: collapse; }
caption { padding: .1rem 1rem .45rem; color: var(--soft); text-align: left; font-size: .9rem; }
th, td {
  padding: .42rem .6rem;
  border-top: 1px solid var(--line);
  text-align: left;
  vertical-align: top;
  white-space: pre;
}
th:first-child, td:first-child { padding-left: 1rem; }
th:last-child, td:last-child { padding-right: 1rem; }
thead th { border-top: 0; color: var(--soft); font-size: .8rem; font-weight: 600; }
tbody th { font-weight: 600; }
tbody th, tbody td { font-size: .92rem; }
th.number, td.number { text-align: right; }
tbody tr:hover > * { background: color-mix(in srgb, var(--brand) 7%, transparent); }
td.state span { color: var(--soft); font-size: .85em; font-weight: 600; letter-spacing: .02em; }
td.state span::before {
  content: "";
  display: inline-block;
  width: .55em;
  height: .55em;
  margin-right: .45em;
  border-radius: 50%;
  background: currentcolor;
}
td.state :is(
  [data-state="UP"], [data-state="ESTABLISHED"], [data-state="LISTEN"], [data-state="OPEN"],
  [data-state="REACHABLE"], [data-state="PERMANENT"]
) { color: var(--good); }
td.state :is(
  [data-state="SYN-SENT"], [data-state="SYN-RECEIVED"], [data-state="FIN-WAIT-1"], [data-state="FIN-WAIT-2"],
  [data-state="CLOSE-WAIT"], [data-state="CLOSING"], [data-state="LAST-ACK"], [data-state="INCOMPLETE"],
  [data-state="PROBE"], [data-state="DELAY"]
) { color: var(--wait); }
td.state :is(
  [data-state="DOWN"], [data-state="FAILED"]
) { color: var(--bad); }
[hidden] { display: none !important; }
footer { padding-top: 1.25rem; padding-bottom: 2rem; color: var(--soft); font-size: .9rem; }
footer a { color: inherit; }
code { font: .95em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
@media (min-width: 68rem) {
  .columns { grid-template-columns: minmax(0, 7fr) minmax(0, 5fr); }
}
@media (max-width: 30rem) {
  body { font-size: 14px; }
  dl { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .6rem; }
  .value { font-size: 1.25rem; }
  th, td { padding-left: .45rem; padding-right: .45rem; }
  #counters tbody th { white-space: normal; overflow-wrap: anywhere; }
  tbody th { position: sticky; left: 0; background: var(--card); }
  #connections thead th:first-child, #ports thead th:first-child { left: 0; z-index: 2; }
}
@media (prefers-reduced-motion: no-preference) {
  #live[data-state="live"]::before { animation: pulse 2s ease-in-out infinite; }
  @keyframes pulse { 50% { opacity: .35; } }
}
@media (forced-colors: active) {
  .band { border-bottom: 1px solid; }
}
@media print {
  header { background: none; color: inherit; }
  .watch { display: none; }
  .scroll { max-height: none !important; overflow: visible !important; }
}
`
