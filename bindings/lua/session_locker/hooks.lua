--- Lua functions that the library calls, and that must answer: hooks.
--
-- LuaJIT has room for some hundred C callbacks, so there is one for each type of function; which Lua
-- function is meant stands in `user_data`, the number of an entry in `entries`. An entry lives until
-- the library says by `drop` that it is done with it.
--
-- No Lua error leaves a callback: it becomes the hook's failure, and its text what the library reports.

jit.off(true, true)

local ffi = require("ffi")
local json = require("session_locker.json")
local native = require("session_locker.native")
local save_data = require("session_locker.save_data")
local tasks = require("session_locker.tasks")

local C = native.C
local OK, HOOK, NOT_APPLICABLE, NOT_ACTIVE =
    native.OK, native.HOOK, native.NOT_APPLICABLE, native.NOT_ACTIVE

local hooks = {}

local entries = {}
local last_id = 0

--- Makes the `user_data` of an entry. If the call that it is handed to is refused, it must be forgotten.
function hooks.enter(entry)
    last_id = last_id + 1
    entries[last_id] = entry
    return ffi.cast("void *", ffi.cast("uintptr_t", last_id))
end

local function id_of(user_data)
    return tonumber(ffi.cast("uintptr_t", user_data))
end

--- Forgets an entry whose call was refused; gives the status.
function hooks.forget_if_refused(status, user_data)
    if status ~= OK then
        entries[id_of(user_data)] = nil
    end
    return status
end

--- How many entries there are, for tests.
function hooks.count()
    local count = 0
    for _ in pairs(entries) do
        count = count + 1
    end
    return count
end

-- Not through `calls`, which may find the stack full: this is outside of any `pcall`.
local function say_why(problem)
    local text = tasks.describe(problem)
    if C.session_locker_set_hook_error(text, #text) ~= OK then
        text = text:gsub("[\128-\255]", "?")
        C.session_locker_set_hook_error(text, #text)
    end
    return HOOK
end

-- Runs `body(entry, …)`, which gives a status, for the entry of a `user_data`.
local function answer(body, user_data, ...)
    local entry = entries[id_of(user_data)]
    if entry == nil then
        return say_why("this hook is no more")
    end
    local outputs = native.outputs()
    tasks.enter_hook()
    local ok, status = pcall(body, entry, ...)
    tasks.leave_hook()
    native.restore_outputs(outputs)
    return ok and status or say_why(status)
end

-- Runs `body(entry, …)`, which answers nothing; an error goes to the error handler.
local function tell(body, user_data, ...)
    local entry = entries[id_of(user_data)]
    if entry ~= nil then
        local outputs = native.outputs()
        tasks.Spawn(body, entry, ...)
        native.restore_outputs(outputs)
    end
end

local function must_be_boolean(result, what)
    if type(result) ~= "boolean" then
        error(("%s must return true or false, not %s"):format(what, tostring(result)), 0)
    end
    return result and OK or NOT_APPLICABLE
end

-- ---- Making, migrating, changing save data ---------------------------------------------------

local function create(entry, key, key_length, data)
    local proxy = save_data.root(data)
    local fields = entry.SaveDataCreator(ffi.string(key, key_length), proxy)
    if fields ~= nil and fields ~= proxy then
        save_data.set(proxy, "", fields)
    end
    return OK
end

local function migrate(entry, data, version_patch)
    local patch = entry.migrate(save_data.root(data), version_patch[0])
    if patch ~= nil then
        version_patch[0] = native.expect(patch, "number", "the version patch that a migrator returns")
    end
    return OK
end

local function process_remote_change(entry, key, key_length, data, change, change_length)
    local result = entry.ProcessRemoteChange(ffi.string(key, key_length), save_data.root(data),
        json.decode(ffi.string(change, change_length)))
    return must_be_boolean(result, "ProcessRemoteChange")
end

local function merge(entry, key, key_length, offline, data)
    entry.MergeOfflineSaveDataWithLoadedSaveData(ffi.string(key, key_length), save_data.root(offline),
        save_data.root(data))
    return OK
end

local function before_save(entry, owner)
    local object = entry.owner or entry.find(owner)
    if object ~= nil then
        entry.BeforeSave(object)
    end
    return OK
end

local function before_save_transform(entry, owner)
    local object = entry.owner or entry.find(owner)
    if object ~= nil then
        entry.BeforeSaveTransform(object)
    end
    return OK
end

-- ---- Products --------------------------------------------------------------------------------

local PRODUCT_OPS = {
    [C.SL_PRODUCT_OP_VALIDATE] = "validate",
    [C.SL_PRODUCT_OP_APPLY] = "apply",
    [C.SL_PRODUCT_OP_RECORD] = "record",
}

--- What a process function returns for "validate" when it cannot tell now.
hooks.NOT_NOW = setmetatable({}, {
    __tostring = function()
        return "NOT_NOW"
    end,
})

local function process(entry, op, call)
    local seen = {
        ReceiptInfo = entry.receipt,
        Profile = call.profile ~= nil and entry.profile or nil,
        Locker = call.locker ~= nil and entry.locker or nil,
        SaveData = call.save_data ~= nil and save_data.root(call.save_data) or nil,
    }
    local name = PRODUCT_OPS[op]
    local result, recipient = entry.process(name, seen)
    if name == "record" then
        return OK
    elseif name == "validate" and result == hooks.NOT_NOW then
        return NOT_ACTIVE
    end
    local status = must_be_boolean(result, ("a process function, for %q,"):format(name))
    if name == "validate" and status == OK and recipient ~= nil then
        local field = type(recipient) == "table" and recipient._recipient_field
        if not field then
            error("the recipient of a gift is a profile or a locker", 0)
        elseif recipient._handle == nil then
            -- It has left, and its handle went with its last event.
            return NOT_ACTIVE
        end
        call[field] = recipient._handle
    end
    return status
end

-- Answers of purchases and sends, which updates tell when the library's call has returned, so that
-- who is told may yield.
local answers = {}

local function note_answer(user_data, value)
    local entry = entries[id_of(user_data)]
    if entry ~= nil then
        answers[#answers + 1] = { entry = entry, answer = value }
    end
end

--- Takes the oldest answer for which `is_meant(entry, …)`, or the oldest of all.
function hooks.take_answer(is_meant, ...)
    for at, one in ipairs(answers) do
        if is_meant == nil or is_meant(one.entry, ...) then
            return table.remove(answers, at)
        end
    end
end

-- ---- Errors and logs -------------------------------------------------------------------------

--- What was being done when something failed, by its number.
hooks.ACTIVITIES = {
    [C.SL_ACTIVITY_LOAD] = "load",
    [C.SL_ACTIVITY_SAVE] = "save",
    [C.SL_ACTIVITY_CREATE] = "create",
    [C.SL_ACTIVITY_MIGRATE] = "migrate",
    [C.SL_ACTIVITY_BEFORE_SAVE] = "before_save",
    [C.SL_ACTIVITY_REMOTE_CHANGE] = "remote_change",
    [C.SL_ACTIVITY_MERGE] = "merge",
    [C.SL_ACTIVITY_PURCHASE] = "purchase",
    [C.SL_ACTIVITY_SEND] = "send",
}

--- Whose fault a failed request is, by its number.
hooks.ERROR_KINDS = {
    [C.SL_REQUEST_ERROR_SCRIPT] = "script",
    [C.SL_REQUEST_ERROR_MISC] = "misc",
    [C.SL_REQUEST_ERROR_BACKEND] = "backend",
}

local function report_error(entry, report)
    local user_ids = {}
    for at = 1, tonumber(report.user_id_count) do
        user_ids[at] = native.text(report.user_ids[at - 1])
    end
    entry.ReportDataStoreError({
        Activity = hooks.ACTIVITIES[report.activity],
        Kind = hooks.ERROR_KINDS[report.error_kind],
        VerboseLogs = report.verbose_logs == 1,
        LogPrefix = native.text(report.log_prefix),
        Key = native.text(report.key),
        Message = native.text(report.message),
        FilteredMessage = native.text(report.filtered_message),
        UserIds = user_ids,
    })
end

local LOG_LEVELS = {
    [C.SL_LOG_DEBUG] = "debug",
    [C.SL_LOG_INFO] = "info",
    [C.SL_LOG_WARNING] = "warning",
    [C.SL_LOG_ERROR] = "error",
}

local function log(entry, level, message, length)
    entry.log(LOG_LEVELS[level], ffi.string(message, length))
end

-- ---- The callbacks ---------------------------------------------------------------------------

local callbacks = {
    SlDrop = function(user_data)
        entries[id_of(user_data)] = nil
    end,
    SlCreateSaveData = function(...)
        return answer(create, ...)
    end,
    SlMigrator = function(...)
        return answer(migrate, ...)
    end,
    SlProcessRemoteChange = function(...)
        return answer(process_remote_change, ...)
    end,
    SlMergeOfflineSaveData = function(...)
        return answer(merge, ...)
    end,
    SlBeforeSave = function(...)
        return answer(before_save, ...)
    end,
    SlProductProcess = function(...)
        return answer(process, ...)
    end,
    SlPurchaseCallback = function(user_data, is_granted)
        note_answer(user_data, is_granted == 1)
    end,
    SlSendCallback = function(user_data, send_id, outcome)
        note_answer(user_data, outcome)
    end,
    SlReportError = function(...)
        tell(report_error, ...)
    end,
    SlLogCallback = function(...)
        tell(log, ...)
    end,
}
-- Those that share a `user_data` with another of their type.
local named = {
    before_save = { "SlLockerBeforeSave", callbacks.SlBeforeSave },
    before_save_transform = { "SlLockerBeforeSave", function(...)
        return answer(before_save_transform, ...)
    end },
}

local made = {}

--- The C callback of a type, made when it is first asked for; they are never freed.
function hooks.callback(type_name)
    if made[type_name] == nil then
        local one = named[type_name] or { type_name, callbacks[type_name] }
        made[type_name] = ffi.cast(one[1], one[2])
    end
    return made[type_name]
end

hooks.answer = answer
hooks.entries = entries
return hooks
