--- Coroutines: what yields, what goes on, and where errors of a script's functions go.
--
-- A function whose name begins with Yield, or `Signal:Wait`, suspends the coroutine that calls it; an
-- update resumes it. Listeners and callbacks each run in a coroutine of their own, so they may yield too.
-- An error in one of them reaches nobody else: it goes to the error handler.

local native = require("session_locker.native")

local tasks = {}

-- Coroutines that have finished their function and wait for the next, at most so many.
local IDLE_MAX = 64
local idle = {}

local function report_to_stderr(message)
    io.stderr:write(message, "\n")
end

local handler = report_to_stderr

--- Sets who is told of an error in a listener, callback or spawned function: `handler(message)`, with
-- the traceback in the message; nil for `io.stderr`. Gives the handler before.
function tasks.SetErrorHandler(new_handler)
    local before = handler
    handler = new_handler or report_to_stderr
    return before
end

local function describe(problem)
    local ok, text = pcall(tostring, problem)
    return ok and type(text) == "string" and text or "an error that has no text"
end
tasks.describe = describe

local function report(problem, thread)
    local message = debug.traceback(thread, describe(problem))
    local ok, problem_of_handler = pcall(handler, message)
    if not ok then
        report_to_stderr(message .. "\nand the error handler failed: " .. describe(problem_of_handler))
    end
end

local function resume(thread, ...)
    local ok, problem = coroutine.resume(thread, ...)
    if not ok then
        report(problem, thread)
    end
end

-- What an idle coroutine is resumed with by who has work for it. To anybody else, who has kept it from when it
-- ran a function of theirs, it is dead.
local WORK = {}

-- A function of its own, so that what it was called with is not kept while the thread is idle.
local function run(token, call, ...)
    if token ~= WORK then
        error("cannot resume dead coroutine", 0)
    end
    call(...)
end

local function work()
    repeat
        run(coroutine.yield())
        local is_needed = #idle < IDLE_MAX
        if is_needed then
            idle[#idle + 1] = coroutine.running()
        end
    until not is_needed
end

local function idle_worker()
    local thread = table.remove(idle)
    while thread ~= nil and coroutine.status(thread) ~= "suspended" do
        thread = table.remove(idle)
    end
    return thread
end

local function new_worker()
    local thread = coroutine.create(work)
    coroutine.resume(thread)
    return thread
end

--- Calls a function in a coroutine of its own, until it ends or yields, and comes back. Its errors go to
-- the error handler.
function tasks.Spawn(call, ...)
    if type(call) ~= "function" then
        native.misuse("what is spawned is a function, not a " .. type(call))
    end
    resume(idle_worker() or new_worker(), WORK, call, ...)
end

-- The coroutines in which hooks run at the moment, the innermost last; false for the main one.
local hook_threads = {}

--- Notes that a hook begins; to be followed by `leave_hook`.
function tasks.enter_hook()
    hook_threads[#hook_threads + 1] = coroutine.running() or false
end

function tasks.leave_hook()
    hook_threads[#hook_threads] = nil
end

--- Suspends the calling coroutine until `tasks.finish` is called with what `begin(wait)` was called with,
-- and gives what `finish` was given. `what` is the function's name, for the error when it cannot.
function tasks.await(what, begin)
    local thread, is_main = coroutine.running()
    if is_main then
        thread = nil
    end
    if #hook_threads > 0 and hook_threads[#hook_threads] == (thread or false) then
        native.refuse("SL_ERROR_HOOK", what .. " cannot yield inside a hook, which answers before it returns")
    elseif thread == nil then
        native.refuse("SL_ERROR_INVALID_ARGUMENT",
            what .. " yields, so it is called in a coroutine (Spawn begins one)")
    end
    local wait = { thread = thread }
    begin(wait)
    if not wait.is_finished then
        coroutine.yield()
    end
    if not wait.is_finished then
        wait.thread = nil
        native.refuse("SL_ERROR_INVALID_ARGUMENT",
            "a coroutine that was suspended by " .. what .. " was resumed by somebody else")
    end
    return unpack(wait, 1, wait.count)
end

--- Ends a wait with values, and resumes its coroutine. Once; later calls do nothing.
function tasks.finish(wait, ...)
    local thread = wait.thread
    if thread == nil or wait.is_finished then
        return
    end
    wait.is_finished, wait.count = true, select("#", ...)
    for at = 1, wait.count do
        wait[at] = (select(at, ...))
    end
    if coroutine.status(thread) == "suspended" then
        resume(thread)
    end
end

return tasks
