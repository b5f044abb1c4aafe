--- Helpers: logs, defaults, values of the whole process.

local check = require("check")
local sl = require("session_locker")

local test, equal, refused = check.test, check.equal, check.refused
local frames = check.frames

local function failing_store(given)
    given = given or {}
    given.SaveDataCreator = function(key)
        error("no document for " .. key, 0)
    end
    return check.store(given)
end

test("the defaults of the process are fields, and count for what is made from then on", function()
    local before = sl.Default_SessionExpiry
    equal(before, 1800)
    equal(sl.Default_VerboseLogs, false)
    sl.Default_SessionExpiry = 2000
    sl.Default_VerboseLogs = true
    sl.Default_PurchaseHistoryLimit = 30
    local spec = sl.LockerSpec({ DataStore = sl.StorageOpen("memory:"), SaveDataTemplate = {} })
    equal(spec:QueryConfig("SessionExpiry"), 2000)
    equal(spec:QueryConfig("VerboseLogs"), true)
    equal(spec:QueryConfig("PurchaseHistoryLimit"), 30)
    sl.Default_SessionExpiry = before
    sl.Default_VerboseLogs = false
    sl.Default_PurchaseHistoryLimit = 100
    equal(sl.Default_VerboseLogs, false)
    equal(spec:QueryConfig("SessionExpiry"), 2000)
    spec:Destroy()
    equal(sl.Default_Nothing, nil)
    equal(sl.nothing, nil)
    refused("SL_ERROR_INVALID_ARGUMENT", "Default_Nothing", function()
        sl.Default_Nothing = 1
    end)
    refused("SL_ERROR_INVALID_ARGUMENT", "Default_VerboseLogs", function()
        sl.Default_VerboseLogs = 1
    end)
    refused("SL_ERROR_OUT_OF_RANGE", nil, function()
        sl.Default_SessionExpiry = -1
    end)
end)

test("who has no reporter of its own reports to the default one", function()
    local heard = check.list()
    sl.Default_LockerSpec_ReportDataStoreError = function(report)
        heard("locker", report.Activity)
    end
    sl.Default_RemoteChangeSender_ReportDataStoreError = function(report)
        heard("sender", report.Activity)
    end
    equal(type(sl.Default_LockerSpec_ReportDataStoreError), "function")
    local store = failing_store()
    store:StartSession("player/ann")
    frames(store)
    store:SendRemoteChanges("player/ben", { { K = "x" } })
    frames(store)
    store:Destroy()
    equal(heard[1], "locker create")
    check.contains(table.concat(heard, "; "), "sender")
    sl.Default_LockerSpec_ReportDataStoreError = nil
    sl.Default_RemoteChangeSender_ReportDataStoreError = nil
    equal(sl.Default_LockerSpec_ReportDataStoreError, nil)
end)

test("an error that nobody hears is logged, without naming a player unless logs are verbose", function()
    for _, is_verbose in ipairs({ false, true }) do
        local heard = check.list()
        sl.SetLogCallback(function(level, message)
            heard(level, message)
        end)
        local store = failing_store({ VerboseLogs = is_verbose })
        store:StartSession("player/ann")
        frames(store)
        store:Destroy()
        sl.SetLogCallback(nil)
        local text = table.concat(heard, "\n")
        check.contains(text, "error ")
        check.contains(text, "create failed: ")
        equal(text:find("no document for player/ann", 1, true) ~= nil, is_verbose)
        equal(text:find("no document for {datastorekey}", 1, true) ~= nil, not is_verbose)
        equal(text:find("debug ", 1, true) ~= nil, is_verbose)
    end
end)

test("an error of the log callback reaches the error handler, and the next one takes its place", function()
    local hooks = require("session_locker.hooks")
    local before = hooks.count()
    sl.SetLogCallback(function()
        error("the log is full")
    end)
    sl.LogErrorVariations("Thing", "details", "trace")
    check.contains(check.take_problems()[1], "the log is full")
    local heard = check.list()
    sl.SetLogCallback(function(level, message)
        heard(level, message)
        sl.LogErrorVariations("never", "heard")
    end)
    equal(hooks.count(), before + 1)
    sl.LogErrorVariations("Thing", "details", "trace")
    equal(heard, {
        "warning Thing failed", "warning Thing failed\ntrace",
        "warning Thing failed with error:\ndetails", "warning Thing failed with error:\ndetails\ntrace",
    })
    sl.SetLogCallback(nil)
    equal(hooks.count(), before)
    sl.LogErrorVariations("Thing", "details")
    equal(#heard, 4)
    refused("SL_ERROR_INVALID_ARGUMENT", "a log callback", sl.SetLogCallback, 5)
end)

test("without a traceback of its own an error is logged with the script's", function()
    local heard = check.list()
    sl.SetLogCallback(function(_, message)
        heard(message)
    end)
    sl.LogErrorVariations("Thing", "details")
    sl.SetLogCallback(nil)
    check.contains(heard[2], "tests/lua/helpers.lua")
end)

test("log prefixes are made as those of the library", function()
    equal(sl.LogPrefixCreate(1001), "[SessionLocker][1001]")
    equal(sl.LogPrefixCreate("1001", 2002, "Ann"), "[SessionLocker][Ann]:[1001 / 2002]")
    equal(sl.LogPrefixCreate("1001", nil, nil, false), "[1001]")
    refused("SL_ERROR_INVALID_ARGUMENT", nil, sl.LogPrefixCreate)
end)

test("whose fault a failed request is stands in its number", function()
    equal(sl.GetRequestErrorKind("103: the name is empty"), "script")
    equal(sl.GetRequestErrorKind("301: queue is full"), "backend")
    equal(sl.GetRequestErrorKind("what is that"), "misc")
end)

test("an override counts, false too", function()
    equal(sl.QueryConfig(nil, 5), 5)
    equal(sl.QueryConfig(0, 5), 0)
    equal(sl.QueryConfig(false, true), false)
end)

test("the library says its version and the time", function()
    check.contains(sl.Version, ".")
    local first = sl.Now()
    assert(sl.Now() >= first)
    local store = check.store()
    store:Update()
    store:Destroy()
end)

-- Runs a script in a process of its own, without the variables that say where the library is; gives what it
-- prints and whether it has ended well.
local function run(script, setting)
    local interpreter = arg[-1]
    for at = -2, -9, -1 do
        interpreter = arg[at] and not arg[at]:find("^%-") and arg[at] or interpreter
    end
    local path = os.tmpname()
    local file = io.open(path, "w")
    file:write(script)
    file:close()
    local pipe = io.popen(("env -u SESSION_LOCKER_LIBRARY %s '%s' '%s' 2>&1"):format(setting or "", interpreter,
        path))
    local printed = pipe:read("*a")
    pipe:close()
    os.remove(path)
    return printed
end

test("the library is where the environment or the script says, and its absence is explained", function()
    local path = os.getenv("SESSION_LOCKER_LIBRARY")
    local said = ("require('session_locker.library').path = %q "):format(path)
    local ask = "print(require('session_locker').Version)"
    equal(run(ask, "SESSION_LOCKER_LIBRARY='" .. path .. "'"), sl.Version .. "\n")
    equal(run(said .. ask), sl.Version .. "\n")
    equal(run(said .. ask, "SESSION_LOCKER_LIBRARY=/nowhere/library.so"), sl.Version .. "\n")
    check.contains(run(ask, "SESSION_LOCKER_LIBRARY=/nowhere/library.so"), "the native library is not found")
    check.contains(run(said .. "require('session_locker.library').path = false " .. ask), "undefined symbol")
end)

test("the module can be loaded anew", function()
    local before = {}
    for name, module in pairs(package.loaded) do
        if name:find("^session_locker") then
            before[name] = module
        end
    end
    for name in pairs(before) do
        package.loaded[name] = nil
    end
    local again = require("session_locker")
    for name, module in pairs(before) do
        package.loaded[name] = module
    end
    assert(again ~= sl)
    local store = again.EasyStoreCreate(again.StorageOpen("memory:"), function()
        return { Gold = 5 }
    end)
    local profile = store:StartSession("player/ann")
    frames(store)
    equal(profile.data.Gold, 5)
    store:Destroy()
end)

check.finish("helpers")
