--- Runs the code of a page: its blocks of Lua, one after another, as one script, and compares what lines
-- print with what stands behind `-->` on them.
--
--     luajit page.lua PAGE FOLDER
--
-- FOLDER is where the script's files go.

local page, folder = arg[1], arg[2]

-- The page with everything but code made blank, so that lines keep their numbers.
local lines, expected, blocks = {}, {}, 0
local in_block = false
for line in io.lines(page) do
    if line:find("^```") then
        in_block = not in_block and line == "```lua"
        blocks = blocks + (in_block and 1 or 0)
        line = ""
    end
    lines[#lines + 1] = in_block and line or ""
    local wanted = in_block and line:match("%-%->(.*)$")
    if wanted then
        expected[#lines] = {}
        for text in (wanted .. "-->"):gmatch(" (.-) ?%-%->") do
            table.insert(expected[#lines], text)
        end
    end
end

local failed = 0
local function fail(text, ...)
    failed = failed + 1
    io.stderr:write(page, ":", text:format(...), "\n")
end

function print(...)
    local at = debug.getinfo(2, "l").currentline
    local parts = {}
    for part = 1, select("#", ...) do
        parts[part] = tostring((select(part, ...)))
    end
    local text = table.concat(parts, "\t")
    local wanted = expected[at] and table.remove(expected[at], 1)
    if text ~= wanted then
        fail("%d: prints %q, but %q stands there", at, text, tostring(wanted))
    end
end

os.remove(folder .. "/page.db")
local script = table.concat(lines, "\n"):gsub("sqlite:saves%.db", "sqlite:" .. folder .. "/page.db")
local sl = require("session_locker")
sl.SetErrorHandler(function(message)
    fail("told to the error handler: %s", message)
end)
local ok, problem = xpcall(assert(loadstring(script, "@" .. page)), debug.traceback)
if not ok then
    fail(" %s", problem)
end
for at, left in pairs(expected) do
    if #left > 0 then
        fail("%d: never prints %q", at, left[1])
    end
end
io.stdout:write(("lua, %s: %d passed, %d failed\n"):format(page, failed == 0 and blocks or 0, failed))
os.exit(failed == 0 and 0 or 1, true)
