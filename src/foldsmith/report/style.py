"""The look of a report: one style sheet, for light, dark and paper."""

CSS = """
:root { color-scheme: light dark; --paper: #fbfaf7; --panel: #ffffff; --ink: #1c1f24; --muted: #626a76;
  --line: #e2e0d9; --accent: #2459c9; --short: #c2571b; --neutral: #7d8490; --long: #14806f; --good: #14806f;
  --bad: #b3401c; --wash: #f3f1ea; }
@media (prefers-color-scheme: dark) { :root { --paper: #14161a; --panel: #1b1e24; --ink: #e8e6e1;
  --muted: #9aa2ae; --line: #2e333c; --accent: #7da6ff; --short: #ef9460; --neutral: #8d95a2; --long: #4fc4ae;
  --good: #4fc4ae; --bad: #f08c62; --wash: #21252c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 40px 24px 64px; }
header { border-bottom: 1px solid var(--line); padding-bottom: 20px; }
.brand { color: var(--muted); font-size: 13px; letter-spacing: .08em; text-transform: uppercase; }
h1 { font-size: 28px; line-height: 1.2; margin: 4px 0 14px; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 40px 0 10px; letter-spacing: -.005em; }
h3 { font-size: 15px; margin: 22px 0 6px; }
p { margin: 8px 0; max-width: 76ch; }
.note { color: var(--muted); font-size: 13.5px; }
.facts { display: flex; flex-wrap: wrap; gap: 4px 22px; margin: 0; }
.facts div { display: flex; gap: 7px; overflow-wrap: anywhere; }
.facts dt, .pairs dt { color: var(--muted); }
.facts dd, .pairs dd { margin: 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(215px, 1fr)); gap: 12px; margin:
  22px 0 8px; }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.card b { display: block; font-size: 25px; font-weight: 600; line-height: 1.25; letter-spacing: -.01em;
  font-variant-numeric: tabular-nums; }
.card span { color: var(--muted); font-size: 13px; display: block; }
.card .good { color: var(--good); } .card .bad { color: var(--bad); }
.verdict { margin: 14px 0 0; padding: 14px 18px; background: var(--wash); border-left: 3px solid
  var(--accent);
  border-radius: 0 8px 8px 0; }
.verdict p { margin: 4px 0; max-width: none; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
caption { text-align: left; color: var(--muted); font-size: 13.5px; padding-bottom: 6px; }
th, td { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); text-align: right; white-space:
  nowrap; }
th { color: var(--muted); font-weight: 500; font-size: 13px; vertical-align: bottom; }
thead th { white-space: normal; }
th:first-child, td:first-child { text-align: left; }
td small { color: var(--muted); }
.strip { width: 150px; height: 18px; vertical-align: middle; }
.strip line { stroke: var(--accent); stroke-width: 2; } .strip circle { fill: var(--accent); }
.strip .yard { stroke: var(--muted); stroke-width: 1.2; stroke-dasharray: 2 2; }
.confusion { width: auto; } .confusion td, .confusion th { text-align: center; padding: 9px 20px; }
.confusion th { vertical-align: middle; } .confusion td { border: 2px solid var(--paper); }
.figure { display: block; width: 100%; height: auto; margin: 8px 0 4px; }
.figure text { font-family: inherit; }
.calendar { vertical-align: middle; } .calendar text { fill: var(--muted); font-size: 12px; }
.calendar rect { fill: var(--accent); stroke: var(--line); stroke-width: .5; }
.calendar .c0 { fill-opacity: .12; } .calendar .c1 { fill-opacity: .3; } .calendar .c2 { fill-opacity: .5; }
.calendar .c3 { fill-opacity: .75; } .calendar .none { fill: var(--paper); stroke: var(--bad); stroke-width: 1; }
.long { white-space: normal; text-align: left; min-width: 260px; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: 0 40px; }
.pairs { display: grid; grid-template-columns: max-content 1fr; gap: 3px 18px; font-size: 14px; margin: 6px
  0; }
.pairs dd { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.hash { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 12.5px; }
.chart { display: none; margin: 10px 0 6px; } .live .chart { display: block; } .live .still { display: none; }
.u-legend { width: auto; font-size: 13px; text-align: left; margin: 2px 0 0 44px; }
.u-legend th, .u-legend td { border: 0; padding: 1px 4px 1px 0; color: var(--ink); text-align: left; }
.u-legend .u-series { margin-right: 14px; } .u-legend th { cursor: pointer; color: var(--muted); }
.u-legend .u-marker { border-radius: 2px; }
.u-select { background: color-mix(in srgb, var(--accent) 14%, transparent); }
.u-hz .u-cursor-x, .u-vt .u-cursor-y { border-right-color: var(--muted); }
.u-hz .u-cursor-y, .u-vt .u-cursor-x { border-bottom-color: var(--muted); }
@media (max-width: 600px) { main { padding: 24px 16px 48px; } h1 { font-size: 23px; }
  .two { grid-template-columns: 1fr; }
  .pairs { grid-template-columns: minmax(0, 1fr); gap: 0; } .pairs dd { margin-bottom: 6px; }
  .u-legend { margin-left: 0; } }
@media print { .live .chart { display: none; } .live .still { display: block; }
  :root { --paper: #fff; --panel: #fff; --ink: #000; --muted: #555; --line: #ddd; --accent:
  #2459c9;
  --short: #c2571b; --neutral: #7d8490; --long: #14806f; --good: #14806f; --bad: #b3401c; --wash: #f6f6f6; }
  body { font-size: 12px; } main { padding: 0; max-width: none; } h2, h3 { break-after: avoid; }
  .figure, .card, .verdict, tr { break-inside: avoid; } .scroll { overflow: visible; }
  table, th, caption { font-size: 10px; } th, td { padding: 3px 7px 3px 0; } }
"""
