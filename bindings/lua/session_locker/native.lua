--- The C functions, and what their statuses come to in Lua.
--
-- LuaJIT ends the process when a compiled trace calls a C function that calls back into Lua. So the
-- functions are reached in two ways. `C` is for those that never run code of the host's: they read or
-- write save data, or ask for a property, and may be compiled. All others go through `calls`, whose
-- functions are interpreted: a trace ends before them, whoever calls.

local ffi = require("ffi")
local library = require("session_locker.library")

local native = {}

local C = library.open()
native.C = C

-- No error may leave a callback, and one that finds the stack full would. So before a call there must be room
-- for what callbacks do outside of their `pcall`: this function, which does nothing, has a frame of some 230
-- slots, and is an error where that does not fit.
local reserve = loadstring(("local call, x = ... if call then call(%s) end"):format(("x,"):rep(220) .. "x"))

--- `calls.NAME(...)` is the C function NAME, kept out of traces.
native.calls = setmetatable({}, {
    __index = function(calls, name)
        local call = C[name]
        local function interpreted(...)
            reserve()
            return call(...)
        end
        jit.off(interpreted)
        rawset(calls, name, interpreted)
        return interpreted
    end,
})
local calls = native.calls

-- ---- Errors ----------------------------------------------------------------------------------

--- What is thrown: `Status` is the name of a status such as "SL_ERROR_BUSY", `Message` says what
-- happened, `Where` is the line of the script. `tostring` gives all three.
local Error = {}
Error.__index = Error
native.Error = Error

function Error.__tostring(self)
    return self.Where .. self.Message .. " (" .. self.Status .. ")"
end

function Error.__concat(left, right)
    return tostring(left) .. tostring(right)
end

local own_files = debug.getinfo(1, "S").source:match("^(.*)[/\\]native%.lua$")

local function is_own(source)
    local own = own_files
    return source == own .. ".lua" or source:sub(1, #own) == own and source:find("^[/\\]", #own + 1)
end

-- "file:line: " of the innermost function that is not of this binding.
local function where()
    for level = 3, 40 do
        local info = debug.getinfo(level, "Sl")
        if info == nil then
            break
        end
        if info.what ~= "C" and not is_own(info.source) then
            return ("%s:%d: "):format(info.short_src, info.currentline)
        end
    end
    return ""
end

--- Throws an error with a status's name and a message.
local function refuse(status_name, message)
    error(setmetatable({ Status = status_name, Message = message, Where = where() }, Error), 0)
end
native.refuse = refuse

--- Throws what a misuse of this binding is.
function native.misuse(message)
    refuse("SL_ERROR_INVALID_ARGUMENT", message)
end

local function last_message()
    local length = tonumber(C.session_locker_last_error(nil, 0))
    local buffer = ffi.new("char[?]", length + 1)
    C.session_locker_last_error(buffer, length + 1)
    return ffi.string(buffer, length)
end

--- The error of the call that has just failed, not thrown.
function native.failure(status)
    local name = ffi.string(C.session_locker_status_name(status))
    return setmetatable({ Status = name, Message = last_message(), Where = where() }, Error)
end

local failure = native.failure

--- Throws the error of the call that has just failed.
local function fail(status)
    error(failure(status), 0)
end
native.fail = fail

--- Throws unless the status is SL_OK.
function native.check(status)
    if status ~= 0 then
        fail(status)
    end
end

--- The numbers of the statuses that the binding looks for; the header has their meaning.
native.OK = 0
native.INVALID_POINTER = C.SL_ERROR_INVALID_POINTER
native.NOT_FOUND = C.SL_ERROR_NOT_FOUND
native.WRONG_TYPE = C.SL_ERROR_WRONG_TYPE
native.TIMEOUT = C.SL_ERROR_TIMEOUT
native.NOT_ACTIVE = C.SL_ERROR_NOT_ACTIVE
native.NOT_LOADED = C.SL_ERROR_NOT_LOADED
native.CONFLICT = C.SL_ERROR_CONFLICT
native.HOOK = C.SL_ERROR_HOOK
native.NOT_APPLICABLE = C.SL_ERROR_NOT_APPLICABLE

-- ---- Outputs ---------------------------------------------------------------------------------

-- Outputs have places that are used again and again. Between a call and the reading of what it has put
-- there, the collector may run and end something, which may be logged or reported, by a function of the
-- script's that makes calls of its own. So then all that was in these places is put back.

local scratches = {}
local endings = 0

--- A place for an output, of a type of C: for a module, which makes it once.
function native.scratch(ctype)
    local place = ffi.new(ctype)
    scratches[#scratches + 1] = place
    return place
end

--- What is in the places now, if it is the collector that calls the library; else nil.
function native.outputs()
    if endings == 0 then
        return nil
    end
    local kept = {}
    for at, place in ipairs(scratches) do
        kept[at] = ffi.string(place, ffi.sizeof(place))
    end
    return kept
end

--- Puts back what `outputs` has given.
function native.restore_outputs(kept)
    for at, bytes in ipairs(kept or {}) do
        ffi.copy(scratches[at], bytes, #bytes)
    end
end

-- ---- Texts and numbers -----------------------------------------------------------------------

local buffer = native.scratch("SlBuffer")
native.buffer = buffer

--- The text in `native.buffer`, which a call has just filled, and frees it.
function native.take_buffer()
    local text = ffi.string(buffer.data, buffer.length)
    C.session_locker_buffer_free(buffer)
    return text
end

--- The text of an SlText, which is lent.
function native.text(text)
    return ffi.string(text.data, text.length)
end

--- An array of SlText of an array of strings, and its length; keep the strings while it is in use.
function native.texts(strings, what)
    if strings == nil then
        return nil, 0
    end
    if type(strings) ~= "table" then
        native.misuse(what .. " is an array of strings")
    end
    local texts = ffi.new("SlText[?]", #strings)
    for at, text in ipairs(strings) do
        if type(text) ~= "string" then
            native.misuse(what .. " is an array of strings")
        end
        texts[at - 1].data = text
        texts[at - 1].length = #text
    end
    return texts, #strings
end

local EXACT = 2 ^ 53

--- An integer of 64 bits as Lua has it: a number up to 2^53, beyond that an `int64_t`.
function native.integer(value)
    if value >= -9007199254740992LL and value <= 9007199254740992LL then
        return tonumber(value)
    end
    return value
end

--- Checks that a value is an integer that C takes exactly, and gives it as an `int64_t`.
function native.int64(value, what)
    if type(value) == "number" then
        if value ~= math.floor(value) or value < -EXACT or value > EXACT then
            native.misuse(what .. " is an integer, an int64_t beyond 2^53")
        end
        return ffi.cast("int64_t", value)
    end
    if not ffi.istype("int64_t", value) then
        native.misuse(what .. " is an integer")
    end
    return value
end

--- Checks the type of an argument.
function native.expect(value, wanted, what)
    if type(value) ~= wanted then
        native.misuse(("%s is a %s, not a %s"):format(what, wanted, type(value)))
    end
    return value
end

--- Keeps a value alive up to here: what C was given a pointer to.
function native.keep(_value) end
jit.off(native.keep)

local function live_handles()
    local count = ffi.new("uint64_t[1]")
    native.check(C.session_locker_live_handles(count))
    return tonumber(count[0])
end
native.live_handles = live_handles

-- The collector's functions by the C function that ends a handle.
local finalizers = {}

local function finalizer(destroy)
    local call = calls[destroy]
    local function finalize(handle)
        endings = endings + 1
        -- Without room on the stack it is left to the next time.
        if not pcall(call, handle) then
            ffi.gc(handle, finalize)
        end
        endings = endings - 1
    end
    finalizers[destroy] = finalize
    return finalize
end

--- A handle that the collector ends with the C function `destroy` unless `native.release` has.
function native.own(handle, destroy)
    return ffi.gc(handle, finalizers[destroy] or finalizer(destroy))
end

--- Takes a handle from the collector: its end is in the caller's hand.
function native.release(handle)
    return ffi.gc(handle, nil)
end

return native
