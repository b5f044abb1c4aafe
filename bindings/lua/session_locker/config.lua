--- What stores and specs are made with: tables with the original's names for fields, and in the same
-- manner for those that the original has not.

local ffi = require("ffi")
local defaults = require("session_locker.defaults")
local hooks = require("session_locker.hooks")
local native = require("session_locker.native")
local save_data = require("session_locker.save_data")

local config = {}

-- Lua's names of fields, and the C struct's: times in seconds and the like, and whole numbers.
local NUMBERS = {
    SaveDataVersionPatch = "save_data_version_patch",
    MaintainSessionPeriod = "maintain_session_period",
    SessionExpiry = "session_expiry",
    ClockTolerance = "clock_tolerance",
    SessionRetryCooldown = "session_retry_cooldown",
    SessionRetryCeiling = "session_retry_ceiling",
    RequestTimeout = "request_timeout",
}
local WHOLE_NUMBERS = {
    SaveDataVersion = "save_data_version",
    PlaceId = "place_id",
    DocumentLimitBytes = "document_limit_bytes",
    BytesPerUpdate = "bytes_per_update",
    PurchaseHistoryLimit = "purchase_history_limit",
    RequestsPerUpdate = "requests_per_update",
    RequestsInFlight = "requests_in_flight",
    Seed = "seed",
}
local FLAGS = {
    ReadOnlyDataStores = "read_only_data_stores",
    VerboseLogs = "verbose_logs",
}
-- Documents, given as tables or JSON text.
local DOCUMENTS = {
    SaveDataTemplate = "template_json",
    DataStoreTestData = "test_data_json",
}
local HOOKS = {
    SaveDataCreator = "create_save_data",
    ProcessRemoteChange = "process_remote_change",
    MergeOfflineSaveDataWithLoadedSaveData = "merge_offline_save_data",
    ReportDataStoreError = "report_error",
    BeforeSave = "before_save",
    BeforeSaveTransform = "before_save_transform",
}
local HOOK_TYPES = {
    SaveDataCreator = "SlCreateSaveData",
    ProcessRemoteChange = "SlProcessRemoteChange",
    MergeOfflineSaveDataWithLoadedSaveData = "SlMergeOfflineSaveData",
    ReportDataStoreError = "SlReportError",
    BeforeSave = "before_save",
    BeforeSaveTransform = "before_save_transform",
}
-- Who makes a store or spec reads these itself.
local OTHERS = {
    DataStore = true,
    -- An `SlClock *` that the program has made. Clocks in Lua would be asked inside any call.
    Clock = true,
    SaveDataMigrators = true,
    SaveDataPatchers = true,
    JobId = true,
}

-- FFI would cut off a fraction, or what does not fit, without a word.
local function set_whole_number(struct, field, value, name)
    local is_number = type(value) == "number" or ffi.istype("int64_t", value) or ffi.istype("uint64_t", value)
    if is_number then
        struct[field] = value
    end
    if not is_number or struct[field] ~= value then
        native.misuse(name .. " is a whole number that fits its field, not " .. tostring(value))
    end
end

local function set_migrators(struct, given)
    local migrators = given.SaveDataMigrators
    if given.SaveDataPatchers ~= nil and given.SaveDataPatchers ~= migrators then
        native.misuse("SaveDataMigrators and SaveDataPatchers are those of one MigratorBuilder")
    end
    if migrators ~= nil then
        struct.migrators = native.expect(migrators, "table", "SaveDataMigrators")._handle
    end
end

local function set_text(struct, field, text)
    struct[field] = text
    struct[field .. "_length"] = #text
end

-- Events are polled, and for one who polls the library reports to nobody else.
local function hear(struct, entry)
    entry.ReportDataStoreError = entry.ReportDataStoreError or defaults.report
    struct.report_error = hooks.callback("SlReportError")
    struct.polls_events = 1
    struct.drop = hooks.callback("SlDrop")
end

--- Fills a C struct, whose defaults are set, from a table. `known` has the names of further fields that
-- the caller reads. Gives the entry of the hooks, for their `user_data`, and what must be kept until the
-- struct was used.
function config.fill(struct, given, known)
    native.expect(given, "table", "a configuration")
    local entry, texts = {}, {}
    for name, value in pairs(given) do
        if NUMBERS[name] then
            struct[NUMBERS[name]] = native.expect(value, "number", name)
        elseif WHOLE_NUMBERS[name] then
            set_whole_number(struct, WHOLE_NUMBERS[name], value, name)
        elseif FLAGS[name] then
            struct[FLAGS[name]] = native.expect(value, "boolean", name) and 1 or 0
        elseif DOCUMENTS[name] then
            texts[#texts + 1] = type(value) == "string" and value or save_data.encode_object(value)
            set_text(struct, DOCUMENTS[name], texts[#texts])
        elseif HOOKS[name] and (known.hooks or not name:find("^BeforeSave")) then
            entry[name] = native.expect(value, "function", name)
            struct[HOOKS[name]] = hooks.callback(HOOK_TYPES[name])
        elseif not OTHERS[name] and not known[name] then
            native.misuse("a configuration has no field " .. tostring(name))
        end
    end
    if given.JobId ~= nil then
        set_text(struct, "job_id", native.expect(given.JobId, "string", "JobId"))
    end
    set_migrators(struct, given)
    struct.clock = given.Clock
    hear(struct, entry)
    return entry, texts
end

local SENDER_FLAGS = { CreateIfMissing = "create_if_missing", DisableApis = "disable_apis" }

--- Fills the C struct of a sender from a table, and gives the entry of its hook.
function config.fill_sender(struct, given)
    native.expect(given, "table", "a configuration")
    local entry = {}
    for name, value in pairs(given) do
        if SENDER_FLAGS[name] then
            struct[SENDER_FLAGS[name]] = native.expect(value, "boolean", name) and 1 or 0
        elseif name == "LogPrefix" then
            set_text(struct, "log_prefix", native.expect(value, "string", name))
        elseif name == "Seed" then
            set_whole_number(struct, "seed", value, name)
        elseif name == "ReportDataStoreError" then
            entry[name] = native.expect(value, "function", name)
        else
            native.misuse("a sender's configuration has no field " .. tostring(name))
        end
    end
    hear(struct, entry)
    return entry
end

--- A user id as C has it: a text, or a whole number written out.
function config.user_id(value, what)
    if type(value) == "number" and value == math.floor(value) then
        return ("%.0f"):format(value)
    elseif ffi.istype("int64_t", value) then
        return (tostring(value):gsub("LL$", ""))
    end
    return native.expect(value, "string", what)
end

--- User ids as texts: of an array of them, or nil.
function config.user_ids(given, what)
    local ids, count = {}, 0
    for _ in pairs(native.expect(given or {}, "table", what)) do
        count = count + 1
    end
    for at = 1, count do
        -- One that is left out would not be found when the player asks for an erasure.
        ids[at] = config.user_id(given[at], "a user id of " .. what)
    end
    return ids
end

local OPTIONS = { UserIds = true, LogPrefix = true, DisableApis = true }

--- The C struct of the options of a session or locker, nil for none, and what must be kept until it
-- was used.
function config.session_options(given)
    if given == nil then
        return nil
    end
    native.expect(given, "table", "the options")
    for name in pairs(given) do
        if not OPTIONS[name] then
            native.misuse("the options have no field " .. tostring(name))
        end
    end
    local options = ffi.new("SlSessionOptions")
    native.check(native.C.session_locker_session_options_init(options, ffi.sizeof(options)))
    local ids, texts = {}, nil
    if given.UserIds ~= nil then
        ids = config.user_ids(given.UserIds, "UserIds")
        texts, options.user_id_count = native.texts(ids, "UserIds")
        options.user_ids = texts
    end
    if given.LogPrefix ~= nil then
        set_text(options, "log_prefix", native.expect(given.LogPrefix, "string", "LogPrefix"))
    end
    options.disable_apis = given.DisableApis and 1 or 0
    return options, { ids, texts, given }
end

return config
