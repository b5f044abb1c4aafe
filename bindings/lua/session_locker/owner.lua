--- What profiles and lockers have in common: save data, product credit, waits for changes, signals.
--
-- Each takes the C functions of its own noun in a table.

local ffi = require("ffi")
local class = require("session_locker.class")
local events = require("session_locker.events")
local json = require("session_locker.json")
local native = require("session_locker.native")
local save_data = require("session_locker.save_data")
local SavedConnection = require("session_locker.saved_connection")
local tasks = require("session_locker.tasks")

local buffer = native.buffer

local owner = {}

local flag = native.scratch("int32_t[1]")
local number = native.scratch("uint32_t[1]")
local amount_out = native.scratch("int64_t[1]")

--- A getter of a switch; `when_gone` is its value once the handle is no more.
function owner.flag(call, when_gone)
    return function(self)
        local handle = rawget(self, "_handle")
        if handle == nil then
            return when_gone
        end
        native.check(call(handle, flag))
        return flag[0] == 1
    end
end

--- A getter of a load status; nil once the session is over.
function owner.load_status(call)
    return function(self)
        local handle = rawget(self, "_handle")
        if handle == nil then
            return nil
        end
        local status = call(handle, flag)
        if status == native.NOT_ACTIVE then
            return nil
        end
        native.check(status)
        return events.LOAD_STATUSES[flag[0]]
    end
end

--- A getter of a version; nil once the session is over.
function owner.version(call)
    return function(self)
        local handle = rawget(self, "_handle")
        local status = handle == nil and native.NOT_ACTIVE or call(handle, number)
        if status == native.NOT_ACTIVE then
            return nil
        end
        native.check(status)
        return number[0]
    end
end

--- A method that calls a function of the handle alone.
function owner.command(call, what)
    return function(self)
        native.check(call(class.handle(self, what)))
    end
end

--- Getters of signals.
function owner.add_signals(getters, names)
    for _, name in ipairs(names) do
        getters[name] = function(self)
            return events.signal(self, name)
        end
    end
end

local function add_save_data(methods, getters, setters, c, what)
    local function get(self)
        return rawget(self, "_data")
    end
    getters.data, getters.SaveData, methods.GetSaveData = get, get, get

    --- Replaces all of the player's fields by those of a table; reserved ones stay.
    local function set(self, fields)
        methods.SetSaveDataJson(self, save_data.encode_object(fields))
    end
    setters.data, setters.SaveData = set, set

    --- The whole document as JSON text, reserved fields included.
    function methods:GetSaveDataJson()
        native.check(c.get_save_data_json(class.handle(self, what), buffer))
        return native.take_buffer()
    end

    --- Replaces all of the player's fields by those of a JSON object; reserved ones stay.
    function methods:SetSaveDataJson(text)
        native.expect(text, "string", "JSON text")
        native.check(c.set_save_data_json(class.handle(self, what), text, #text))
    end

    --- The document of the session that was lost last, with what was not saved, as a table; nil if none
    -- was.
    function methods:GetLostSaveData()
        local status = c.get_lost_save_data(class.handle(self, what), buffer)
        if status == native.NOT_FOUND then
            return nil
        end
        native.check(status)
        return json.decode(native.take_buffer())
    end

    --- Sets what the log lines of the session begin with; see `LogPrefixCreate`.
    function methods:SetLogPrefix(prefix)
        native.expect(prefix, "string", "a log prefix")
        native.check(c.set_log_prefix(class.handle(self, what), prefix, #prefix))
    end
end

local function add_credit(methods, c, what)
    --- How much of a product the player has paid for and not been given yet.
    function methods:ProductCreditQuery(product_id)
        local id = native.int64(product_id, "a product id")
        native.check(c.product_credit_query(class.handle(self, what), id, amount_out))
        return native.integer(amount_out[0])
    end

    --- Adds an amount, 1 or more, to the credit of a product.
    function methods:ProductCreditGive(product_id, amount)
        local id, more = native.int64(product_id, "a product id"), native.int64(amount, "an amount")
        native.check(c.product_credit_give(class.handle(self, what), id, more))
    end

    --- Takes an amount from the credit of a product; false, and nothing has changed, if it is too little.
    function methods:ProductCreditUse(product_id, amount)
        local id, less = native.int64(product_id, "a product id"), native.int64(amount, "an amount")
        native.check(c.product_credit_use(class.handle(self, what), id, less, flag))
        return flag[0] == 1
    end
end

local function add_waits(methods, c, what)
    --- Waits for the changes made so far: `callback(was_saved, outcome)` is called once, in an update, the
    -- outcome being "saved", "not_saved" or "unknown". Gives a SavedConnection.
    function methods:WhenChangesSaved(callback)
        return SavedConnection.begin(c.when_changes_saved, class.handle(self, what), self._source, callback)
    end

    --- Suspends the coroutine until the changes made so far are saved (true), or the session has ended
    -- without them, as far as anybody knows (false). Gives the outcome too.
    function methods:YieldUntilChangesSaved()
        return tasks.await("YieldUntilChangesSaved", function(wait)
            self:WhenChangesSaved(function(was_saved, outcome)
                tasks.finish(wait, was_saved, outcome)
            end)
        end)
    end

    --- The same, blocking, with updates of its own, for at most `timeout` seconds; nil, and the error, if
    -- the time ran out. For tools.
    function methods:WaitUntilChangesSaved(timeout)
        native.expect(timeout, "number", "a timeout")
        local handle = class.handle(self, what)
        local was_saved = ffi.new("int32_t[1]")
        local status, failure = events.run(self._source, "WaitUntilChangesSaved",
            c.wait_until_changes_saved, handle, timeout, was_saved)
        if status == native.TIMEOUT then
            return nil, failure
        elseif failure then
            error(failure, 0)
        end
        return was_saved[0] == 1
    end
end

--- Adds what a profile or locker can do: `c` has the C functions of the noun, by what follows it.
function owner.add(methods, getters, setters, c, what)
    add_save_data(methods, getters, setters, c, what)
    add_credit(methods, c, what)
    add_waits(methods, c, what)
    -- `Lifecycle(status, reason)`, `Replaced(reason)`, `Reset(reason)` and so on, as in the original;
    -- `ProductCreditChanged(product_id, amount)`, `LoadStatusChanged(status)`; `SaveDataLost(document)`, before
    -- `Lost`, with a table of what was lost; `Failed(event)`, with an event of the kind "error".
    owner.add_signals(getters, {
        "Lifecycle", "Saved", "Replaced", "Loaded", "Reset", "Released", "Lost",
        "ProductCreditChanged", "LoadStatusChanged", "SaveDataLost", "Failed",
    })
end

return owner
