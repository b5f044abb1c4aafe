--- Logs, and the original's helpers for them.

local ffi = require("ffi")
local config = require("session_locker.config")
local defaults = require("session_locker.defaults")
local hooks = require("session_locker.hooks")
local native = require("session_locker.native")

local C, calls = native.C, native.calls

local log = {}

-- While this is there, the collector sees to it that the library does not call a Lua state that has ended.
local guard = nil

local function be_silent()
    calls.session_locker_set_log_callback(nil, nil, nil)
end

--- Sets who hears what the library has to say, in the whole process: `sink(level, message)`, the level
-- being "debug", "info", "warning" or "error"; nil for nobody, as in the beginning. It may run inside
-- any call of the library, but for those that read and write save data.
function log.SetLogCallback(sink)
    if sink == nil then
        defaults.set_log_sink(nil)
        guard = nil
        return be_silent()
    end
    native.expect(sink, "function", "a log callback")
    local user_data = hooks.enter({ log = sink })
    native.check(calls.session_locker_set_log_callback(hooks.callback("SlLogCallback"), user_data,
        hooks.callback("SlDrop")))
    defaults.set_log_sink(sink)
    guard = guard or ffi.gc(ffi.new("char[1]"), function()
        if guard ~= nil then
            be_silent()
        end
    end)
end

--- Logs one failure four times, without and with its details and a traceback, the script's own unless it
-- is given: tools that count equal messages then count the failure, even where the details differ.
function log.LogErrorVariations(identifier, message, traceback)
    native.expect(identifier, "string", "an identifier")
    native.expect(message, "string", "an error message")
    traceback = traceback or debug.traceback("", 2)
    native.check(calls.session_locker_log_error_variations(identifier, #identifier, message, #message,
        traceback, #traceback))
end

local function text(value, what)
    if value == nil then
        return nil, 0
    end
    local id = config.user_id(value, what)
    return id, #id
end

--- Makes what log lines begin with, such as "[SessionLocker][Ann]:[1001 / 2002]", of a player's user id;
-- the user id whose save data is used, where it is another; a name; and whether the library's name is
-- shown (true).
function log.LogPrefixCreate(user_id, data_store_user_id, name, show_module)
    local id, id_length = text(user_id, "a user id")
    local other, other_length = text(data_store_user_id, "a user id")
    local shown, shown_length = text(name, "a name")
    native.check(calls.session_locker_log_prefix_create(show_module == false and 0 or 1, id, id_length, other,
        other_length, shown, shown_length, native.buffer))
    return native.take_buffer()
end

local kind = native.scratch("SlRequestErrorKind[1]")

--- Whose fault a failed request is, by the number that begins the messages of the original's platform:
-- "script", "misc" or "backend".
function log.GetRequestErrorKind(message)
    native.expect(message, "string", "a message")
    native.check(C.session_locker_request_error_kind(message, #message, kind))
    return hooks.ERROR_KINDS[kind[0]]
end

--- The override, or the default if there is none.
function log.QueryConfig(override, default)
    if override == nil then
        return default
    end
    return override
end

return log
