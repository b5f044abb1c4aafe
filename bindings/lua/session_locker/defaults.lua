--- The defaults of the whole process, as fields of the module: `sl.Default_SessionExpiry = 600`.

local native = require("session_locker.native")

local C = native.C

local defaults = {}

local NUMBERS = {
    VerboseLogs = C.SL_CONFIG_VERBOSE_LOGS,
    ReadOnlyDataStores = C.SL_CONFIG_READ_ONLY_DATA_STORES,
    MaintainSessionPeriod = C.SL_CONFIG_MAINTAIN_SESSION_PERIOD,
    SessionExpiry = C.SL_CONFIG_SESSION_EXPIRY,
    SessionRetryCooldown = C.SL_CONFIG_SESSION_RETRY_COOLDOWN,
    PurchaseHistoryLimit = C.SL_CONFIG_PURCHASE_HISTORY_LIMIT,
}
local IS_SWITCH = { VerboseLogs = true, ReadOnlyDataStores = true }

--- The C number of a value, by its name.
function defaults.number_of(name)
    return NUMBERS[name] or native.misuse("there is no configuration value " .. tostring(name))
end

--- The value as Lua has it.
function defaults.from_number(name, value)
    if IS_SWITCH[name] then
        return value ~= 0
    end
    return value
end

-- Who is told of the errors of specs and stores, and of senders, that have no `ReportDataStoreError`.
local reporters = {
    LockerSpec_ReportDataStoreError = false,
    RemoteChangeSender_ReportDataStoreError = false,
}
local log_sink = nil

--- Sets where `report` logs, with the log callback.
function defaults.set_log_sink(sink)
    log_sink = sink
end

local LEVELS = { script = "error", misc = "warning", backend = "info" }

--- Tells of an error for which a store, spec or sender has no `ReportDataStoreError` of its own: the
-- reporter of all, `Default_…_ReportDataStoreError`, or the log. There it stands in full with verbose logs;
-- else no player is named in it, and what passes by itself is left out.
function defaults.report(report)
    local kind = report.Activity == "send" and "RemoteChangeSender" or "LockerSpec"
    local reporter = reporters[kind .. "_ReportDataStoreError"]
    if reporter then
        return reporter(report)
    elseif log_sink == nil or report.Kind == "backend" and not report.VerboseLogs then
        return
    end
    local message = report.VerboseLogs and report.Message or report.FilteredMessage
    local prefix = report.VerboseLogs and report.LogPrefix or "[SessionLocker]"
    log_sink(LEVELS[report.Kind], ("%s %s failed: %s"):format(prefix, report.Activity, message))
end

local value_out = native.scratch("double[1]")

--- For the module's metatable: the value of `Default_NAME`, nil for another name.
function defaults.get(field)
    local name = field:match("^Default_(.+)$")
    if NUMBERS[name] then
        native.check(C.session_locker_get_default(NUMBERS[name], value_out))
        return defaults.from_number(name, value_out[0])
    end
    return reporters[name] or nil
end

--- For the module's metatable: sets `Default_NAME`. It counts for what is made from then on.
function defaults.set(field, value)
    local name = field:match("^Default_(.+)$")
    if NUMBERS[name] then
        local wanted = IS_SWITCH[name] and "boolean" or "number"
        native.expect(value, wanted, field)
        if wanted == "boolean" then
            value = value and 1 or 0
        end
        native.check(C.session_locker_set_default(NUMBERS[name], value))
    elseif reporters[name] ~= nil then
        reporters[name] = value and native.expect(value, "function", field) or false
    else
        native.misuse("session_locker has no field " .. tostring(field) .. " to be assigned")
    end
end

return defaults
