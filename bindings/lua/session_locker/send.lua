--- What stores and senders have in common: sending remote changes.

local ffi = require("ffi")
local class = require("session_locker.class")
local events = require("session_locker.events")
local hooks = require("session_locker.hooks")
local native = require("session_locker.native")
local save_data = require("session_locker.save_data")
local tasks = require("session_locker.tasks")

local C = native.C

local send = {}

local OPTIONS = { OperationId = true, Callback = true }

local function options_struct(given)
    for name in pairs(given) do
        if not OPTIONS[name] then
            native.misuse("the options of a send have no field " .. tostring(name))
        end
    end
    local options = ffi.new("SlSendOptions")
    native.check(C.session_locker_send_options_init(options, ffi.sizeof(options)))
    if given.OperationId ~= nil then
        options.operation_id = native.expect(given.OperationId, "string", "OperationId")
        options.operation_id_length = #given.OperationId
    end
    return options
end

local function changes_text(changes)
    native.expect(changes, "table", "remote changes")
    if next(changes) == nil then
        return "[]"
    elseif changes[1] == nil then
        native.misuse("remote changes are an array of tables, each with a K")
    end
    return save_data.encode(changes)
end

-- `call` is the C function; gives the send's id.
local function begin(call, handle, key, changes, given)
    given = given or {}
    native.expect(key, "string", "a key")
    local text, options = changes_text(changes), options_struct(native.expect(given, "table", "the options"))
    local id = ffi.new("uint64_t[1]")
    if given.Callback == nil then
        native.check(call(handle, key, #key, text, #text, options, nil, nil, nil, id))
        native.keep(given)
        return tonumber(id[0])
    end
    local callback = native.expect(given.Callback, "function", "Callback")
    local user_data = hooks.enter({
        tell = function(outcome)
            callback(events.SEND_OUTCOMES[outcome])
        end,
    })
    native.check(hooks.forget_if_refused(
        call(handle, key, #key, text, #text, options, hooks.callback("SlSendCallback"), user_data,
            hooks.callback("SlDrop"), id), user_data))
    native.keep(given)
    return tonumber(id[0])
end

--- Adds the method that sends, by its name, and the one that yields until it is answered.
function send.add(methods, name, yield_name, call, what)
    --- Takes remote changes, an array of tables with a string `K` each, on their way to a key, whoever
    -- owns it, all in one step. `options` may have `Callback(outcome)`, called once, in an update: "sent",
    -- "missing", "inbox_full", "not_sent", "unknown" or "corrupt_data"; and `OperationId`, the script's own
    -- name for the send, under which it is sent once though it is sent again. Gives the send's number.
    methods[name] = function(self, key, changes, options)
        return begin(call, class.handle(self, what), key, changes, options)
    end

    --- The same, and suspends the coroutine until it is answered; gives the outcome.
    methods[yield_name] = function(self, key, changes, options)
        return tasks.await(yield_name, function(wait)
            methods[name](self, key, changes, {
                OperationId = options and options.OperationId,
                Callback = function(outcome)
                    tasks.finish(wait, outcome)
                end,
            })
        end)
    end
end

return send
