--- What the tests in Lua are written with: a test is a sentence that is true, and a function that fails
-- if it is not. Time is virtual: a frame is a tenth of a second that nobody waits for.

local sl = require("session_locker")
local native = require("session_locker.native")

local check = {}

local passed, failed = 0, 0
-- What the error handler was told of, which is a failure unless the test takes it.
local problems = {}

sl.SetErrorHandler(function(message)
    problems[#problems + 1] = message
end)

--- What listeners and callbacks have failed with since this was asked last.
function check.take_problems()
    local taken = problems
    problems = {}
    return taken
end

--- Runs a test at once.
function check.test(sentence, body)
    local ok, problem = xpcall(body, function(problem)
        return debug.traceback(tostring(problem), 2)
    end)
    if ok and #problems > 0 then
        ok, problem = false, "told to the error handler: " .. table.concat(problems, "\n")
    end
    problems = {}
    if ok then
        passed = passed + 1
    else
        failed = failed + 1
        io.stderr:write("FAILED: ", sentence, "\n", tostring(problem), "\n")
    end
end

--- Ends a program of tests: says how many there were, and is a failure if one has failed.
function check.finish(name)
    print(("lua, %s: %d passed, %d failed"):format(name, passed, failed))
    os.exit(failed == 0 and 0 or 1, true)
end

local function show(value)
    if type(value) == "table" and getmetatable(value) ~= native.Error then
        local parts = {}
        for at, item in ipairs(value) do
            parts[at] = show(item)
        end
        return "{" .. table.concat(parts, ", ") .. "}"
    elseif type(value) == "string" then
        return ("%q"):format(value)
    end
    return tostring(value)
end

--- Fails unless two values are equal; arrays are compared by their elements.
function check.equal(got, wanted)
    if type(got) == "table" and type(wanted) == "table" and not rawequal(got, wanted) then
        if show(got) == show(wanted) then
            return
        end
    elseif rawequal(got, wanted) or got == wanted then
        return
    end
    error(("got %s, wanted %s"):format(show(got), show(wanted)), 2)
end

--- Fails unless a text has a part in it.
function check.contains(text, part)
    if not tostring(text):find(part, 1, true) then
        error(("%s is not in %s"):format(show(part), show(text)), 2)
    end
end

--- Fails unless a function throws an error with this status, and with this part in its message; gives the
-- error.
function check.refused(status, part, body, ...)
    local ok, problem = pcall(body, ...)
    if ok then
        error("it was not refused", 2)
    elseif getmetatable(problem) ~= native.Error then
        error("refused with something else: " .. tostring(problem), 2)
    elseif problem.Status ~= status or part and not problem.Message:find(part, 1, true) then
        error(("refused with %s, wanted %s and %s"):format(tostring(problem), status, show(part)), 2)
    end
    return problem
end

-- ---- A world ---------------------------------------------------------------------------------

local now = 0

--- Runs frames of a store, locker, sender or purchaser: ten of them, or as many as it is told.
function check.frames(source, count)
    for _ = 1, count or 10 do
        now = now + 0.1
        source:Update(now)
    end
end

--- Lets time pass.
function check.later(seconds)
    now = now + seconds
end

function check.now()
    return now
end

--- Runs frames until something is so; fails after ten thousand.
function check.until_so(source, is_so)
    for _ = 1, 10000 do
        if is_so() then
            return
        end
        check.frames(source, 1)
    end
    error("it never comes true", 2)
end

local last_seed = 0

--- A seed that no other store or spec has, so that all chance is the same in every run.
function check.seed()
    last_seed = last_seed + 1
    return last_seed
end

--- A store on a storage of its own, or on the one that is given, which makes documents of `{ Gold = 0 }`.
function check.store(given, storage)
    storage = storage or sl.StorageOpen("memory:")
    local settings = { SaveDataTemplate = { Gold = 0 }, Seed = check.seed() }
    for name, value in pairs(given or {}) do
        settings[name] = value
    end
    if settings.SaveDataCreator then
        settings.SaveDataTemplate = nil
    end
    return sl.EasyStoreCreate(storage, settings), storage
end

--- A profile that is loaded.
function check.loaded(store, key, options)
    local profile = store:StartSession(key or "player/ann", options)
    check.until_so(store, function()
        return profile.IsLoaded
    end)
    return profile
end

--- The stored document under a key, as a table.
function check.stored(storage, key)
    local record = storage:Fetch(key or "player/ann")
    return record and sl.decode(record.Bytes)
end

--- A list that grows by calling it with what happened.
function check.list()
    local list = {}
    return setmetatable(list, {
        __call = function(_, ...)
            local parts = {}
            for at = 1, select("#", ...) do
                parts[at] = tostring((select(at, ...)))
            end
            list[#list + 1] = table.concat(parts, " ")
        end,
    })
end

return check
