<%def name="line(row, depth)">\
<span class="name${' failed' if row.error else ''}" style="--depth:${depth}">${row.name} <small>${row.note}</small></span>\
<span class="where">${row.where}</span>\
<span class="time">${duration(row.waiting) if row.waiting else ''}</span><span class="time">${took(row) if row.end > row.start else ''}</span>\
<span class="track" title="${told(row)}">\
% for kind, left, width in bars(row):
<i class="${kind}" style="left:${left};width:${width}"></i>\
% endfor
</span>\
</%def>\
<%def name="tree(row, depth)">
<li>\
<% facts_id = f"facts-{number()}" %>\
<button popovertarget="${facts_id}" aria-label="Details of ${row.name}">⋯</button>\
% if row.rows:
<details open><summary>${line(row, depth)}</summary>${error(row, depth)}<ul>\
% for inner in row.rows:
${tree(inner, depth + 1)}\
% endfor
</ul></details>\
% else:
<div class="leaf">${line(row, depth)}</div>${error(row, depth)}\
% endif
<div popover id="${facts_id}"><h3>${row.name}</h3><p>${told(row)}</p>\
% if row.error:
<p class="failed">${row.error}</p>\
% endif
% for name, about in facts(row):
<h4>${name}</h4><table>\
% for fact, value in about:
<tr><th scope="row">${fact}</th><td>${value}</td></tr>\
% endfor
</table>\
% endfor
</div></li>\
</%def>\
<%def name="error(row, depth)">\
% if row.error:
<p class="error failed" style="--depth:${depth}">${row.error}</p>\
% endif
</%def>\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${waterfall.order_id}: ${waterfall.status}, ${waterfall.took}</title>
<style>
:root {
  --back: #fff; --front: #1c2430; --faint: #667085; --line: #e4e7ec; --over: #f5f7fa;
  --life: #9db4d8; --work: #2f7d5b; --waiting: #e0a83c; --failed: #c8372d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #14181f; --front: #e3e7ee; --faint: #93a0b4; --line: #2a313c; --over: #1d232d;
    --life: #46608a; --work: #4fb286; --waiting: #c9922b; --failed: #f0655a;
  }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 1.5rem 2rem 3rem; background: var(--back); color: var(--front);
  font: 14px/1.45 system-ui, sans-serif; --names: clamp(14rem, 36vw, 30rem); --where: 10.5rem; --times: 10rem; --more: 2.2rem; }
h1 { font-size: 1.35rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: .95rem; margin: 2rem 0 .5rem; overflow-wrap: anywhere; }
h2 code { font-weight: 600; }
h2 span, small, header p { color: var(--faint); font-weight: 400; }
header p { margin: .25rem 0; }
.key i { display: inline-block; position: static; width: 1.6em; margin: 0 .35em 0 1em; }
.block { position: relative; }
ul { list-style: none; margin: 0; padding: 0; }
li { position: relative; }
summary, .leaf, .ruler { display: grid; grid-template-columns: var(--names) var(--where) calc(var(--times) / 2) calc(var(--times) / 2) 1fr var(--more);
  align-items: center; min-height: 1.75rem; border-bottom: 1px solid var(--line); }
summary { cursor: pointer; }
summary::marker { content: ""; }
summary::-webkit-details-marker { display: none; }
summary:hover, .leaf:hover { background: var(--over); }
.name { padding-left: calc(var(--depth) * 1.1rem + 1.1rem); overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  position: relative; }
summary .name::before { content: "▾"; position: absolute; margin-left: -1rem; color: var(--faint); }
details:not([open]) > summary .name::before { content: "▸"; }
.where { color: var(--faint); font-size: .85em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.time { color: var(--faint); font-size: .85em; text-align: right; padding-right: .9rem; white-space: nowrap; }
.track { position: relative; height: 100%; }
i { position: absolute; top: 50%; height: .8em; margin-top: -.4em; min-width: 3px; border-radius: 2px; }
i.life { background: var(--life); height: .3em; margin-top: -.15em; }
i.work { background: var(--work); }
i.waiting { height: .5em; margin-top: -.25em; background: repeating-linear-gradient(135deg, var(--waiting) 0 3px, transparent 3px 6px); }
i.failed { background: var(--failed); }
.failed { color: var(--failed); }
.error { margin: 0; padding: .15rem 0 .3rem calc(var(--depth) * 1.1rem + 1.1rem); font-size: .9em; overflow-wrap: anywhere;
  border-bottom: 1px solid var(--line); }
li > button { position: absolute; right: 0; top: .2rem; width: 1.9rem; height: 1.35rem; padding: 0; z-index: 1; border: 0;
  border-radius: 4px; background: none; color: var(--faint); font: inherit; line-height: 1; cursor: pointer; }
li > button:hover { background: var(--line); }
:focus-visible { outline: 2px solid var(--life); outline-offset: -2px; }
.ruler { color: var(--faint); font-size: .8em; }
.ruler b { position: absolute; top: 50%; translate: -50% -50%; font-weight: 400; white-space: nowrap; }
.ruler b:first-child { translate: 0 -50%; }
.ruler b.last { translate: -100% -50%; }
.cuts { position: absolute; inset: 0 var(--more) 0 calc(var(--names) + var(--where) + var(--times)); pointer-events: none; }
.cuts u { position: absolute; top: 0; bottom: 0; border: dashed var(--line); border-width: 0 1px;
  background: repeating-linear-gradient(135deg, transparent 0 6px, var(--line) 6px 7px); }
[popover] { position: fixed; inset: 0 0 0 auto; width: min(44rem, 92vw); height: 100vh; margin: 0; padding: 1.25rem 1.5rem;
  overflow: auto; border: 0; border-left: 1px solid var(--line); background: var(--back); color: var(--front);
  box-shadow: 0 0 2rem rgb(0 0 0 / .25); }
h3 { margin: 0; } h4 { margin: 1.2rem 0 .3rem; font-size: .95em; }
table { border-collapse: collapse; width: 100%; font-size: .88em; }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-top: 1px solid var(--line); }
th { font-weight: 400; color: var(--faint); white-space: nowrap; }
td { font-family: ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 50rem) { body { padding: 1rem; --where: 0rem; --times: 0rem; } .where, .time { visibility: hidden; } }
</style>
</head>
<body>
<header>
<h1>Order ${waterfall.order_id}</h1>
<p><strong>${waterfall.status}</strong>, ${waterfall.took} in ${len(waterfall.blocks)} trace${'s' if len(waterfall.blocks) > 1 else ''}\
% if cuts:
; cut short: ${', '.join(cut[2] for cut in cuts)} without work\
% endif
</p>
<p class="key"><i class="life"></i>a workflow lives<i class="waiting"></i>waits for a worker or for its next try<i class="work"></i>works<i class="failed"></i>fails</p>
</header>
<main>
% for block in waterfall.blocks:
<section>
<h2>Trace <code>${block.trace_id}</code> <span>${block.about}</span></h2>
% if block.rows:
<div class="block">
<div class="cuts">\
% for left, width, text in cuts:
<u style="left:${left};width:${width}"></u>\
% endfor
</div>
<div class="ruler"><span></span><span></span><span class="time">waited</span><span class="time">took</span><span class="track">\
% for place, text in ticks:
<b class="${'last' if loop.last else ''}" style="left:${place}">${text}</b>\
% endfor
</span></div>
<ul>\
% for row in block.rows:
${tree(row, 0)}\
% endfor
</ul>
</div>
% else:
<p>No span of it is kept.</p>
% endif
</section>
% endfor
</main>
</body>
</html>
