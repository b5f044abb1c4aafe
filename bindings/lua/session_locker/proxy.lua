--- Save data as Lua has it: `data.Gold = data.Gold + 10`.
--
-- A proxy stands for a place in the save data and holds nothing itself: each read and write is one call
-- of the library, so it always shows what is there, and a write is noted as a change.
--
-- Proxies are userdata, for a table has no `#` of its own in Lua 5.1. What a proxy stands for is in
-- `places`. A place refers to no proxy above it, so that the collector takes what nobody uses.

local ffi = require("ffi")
local json = require("session_locker.json")
local native = require("session_locker.native")

local C = native.C
local fail, misuse = native.fail, native.misuse
local buffer = native.buffer
local floor = math.floor

local proxies = {}

local NOT_FOUND, INVALID_POINTER = native.NOT_FOUND, native.INVALID_POINTER
local BOOL = C.SL_VALUE_BOOL
local INTEGER = C.SL_VALUE_INTEGER
local FLOAT = C.SL_VALUE_FLOAT
local STRING = C.SL_VALUE_STRING
local ARRAY = C.SL_VALUE_ARRAY
local OBJECT = C.SL_VALUE_OBJECT

local EXACT = 2 ^ 53
-- How many names a place remembers, of members that were asked for.
local NAMES_MAX = 1024

-- A place: `handle` and `pointer`, which say where it is, and the pointers and proxies of the members
-- that were asked for.
local places = setmetatable({}, { __mode = "k" })
local prototype = newproxy(true)

--- The proxy of a place.
local function new_proxy(handle, pointer)
    local proxy = newproxy(prototype)
    places[proxy] = { handle = handle, pointer = pointer, pointers = {}, proxies = {}, names = 0 }
    return proxy
end

--- The place of a proxy.
local function place_of(proxy)
    local place = places[proxy]
    if place == nil then
        misuse("a save data is needed, not a " .. type(proxy))
    end
    return place
end

--- The proxy of a whole save data. The handle may be one that the collector ends.
function proxies.root(handle)
    return new_proxy(handle, "")
end

--- Whether a value is a save data, or a place in one.
function proxies.is(value)
    return places[value] ~= nil
end

--- The save data's handle, for C functions.
function proxies.handle(proxy)
    return place_of(proxy).handle
end

local function remember(place, key, pointer)
    if place.names >= NAMES_MAX then
        place.pointers, place.proxies, place.names = {}, {}, 0
    end
    place.names = place.names + 1
    place.pointers[key] = pointer
    return pointer
end

local value = native.scratch("SlValue")

-- Fetches into `value`, and gives its type; nil if there is nothing.
local function fetch(handle, pointer)
    local status = C.save_data_get_value(handle, pointer, #pointer, value)
    if status == 0 then
        return value.value_type
    elseif status ~= NOT_FOUND then
        fail(status)
    end
end

local function is_array(place)
    local value_type = fetch(place.handle, place.pointer)
    if value_type == STRING then
        C.session_locker_buffer_free(value.text)
    end
    return value_type == ARRAY
end

-- The pointer of a member; nil for the name of none, which "0" and "-" are in an array. A JSON Pointer takes
-- them for the first element and the one behind the last, so they are asked about each time.
local function member_pointer(place, name)
    if name == "-" or name:find("^%d+$") then
        if place.pointer ~= "" and is_array(place) then
            return nil
        end
        return place.pointer .. "/" .. name
    end
    local token = name:gsub("~", "~0"):gsub("/", "~1")
    return remember(place, name, place.pointer .. "/" .. token)
end

-- ---- Reading ---------------------------------------------------------------------------------

-- An array or object that is part of a place.
local function part(place, key, pointer)
    local proxy = place.proxies[key]
    if proxy == nil then
        proxy = new_proxy(place.handle, pointer)
        if place.pointers[key] ~= nil then
            place.proxies[key] = proxy
        end
    end
    return proxy
end

-- What `value` holds, if it is neither array nor object.
local function scalar(value_type)
    if value_type == INTEGER then
        local number = value.number
        if number < EXACT and number > -EXACT then
            return number
        end
        return native.integer(value.integer + 0LL)
    elseif value_type == FLOAT then
        return value.number
    elseif value_type == STRING then
        local text = ffi.string(value.text.data, value.text.length)
        C.session_locker_buffer_free(value.text)
        return text
    elseif value_type == BOOL then
        return value.boolean == 1
    end
    return json.null
end

-- The member or element at a pointer that was made of a key; nil too for a name in an array, which is no
-- JSON Pointer of anything in it.
local function read(place, key, pointer)
    local status = C.save_data_get_value(place.handle, pointer, #pointer, value)
    if status ~= 0 then
        if status ~= NOT_FOUND and status ~= INVALID_POINTER then
            fail(status)
        end
        return nil
    end
    local value_type = value.value_type
    if value_type >= ARRAY then
        return part(place, key, pointer)
    end
    return scalar(value_type)
end

-- What is at the place itself: its type, and how many elements or members it has.
local function look(place)
    local pointer = place.pointer
    local status = C.save_data_get_value(place.handle, pointer, #pointer, value)
    if status ~= 0 then
        fail(status)
    end
    local value_type, length = value.value_type, tonumber(value.length)
    if value_type == STRING then
        C.session_locker_buffer_free(value.text)
    end
    return value_type, length
end

-- The pointer of an array's element, and whether there is an array rather than another empty value; nil
-- for a number that indexes nothing.
local function element_pointer(place, index)
    local value_type, length = look(place)
    if value_type ~= ARRAY and (length > 0 or value_type ~= OBJECT) then
        misuse(("a number is the index of an array, and at %q there is none; an object has string keys")
            :format(place.pointer))
    end
    if index < 1 or index > EXACT or index ~= floor(index) then
        return nil
    end
    local pointer = place.pointers[index]
        or remember(place, index, ("%s/%.0f"):format(place.pointer, index - 1))
    return pointer, value_type == ARRAY
end

local function index(proxy, key)
    local place = places[proxy]
    local pointer
    if type(key) == "string" then
        pointer = place.pointers[key] or member_pointer(place, key)
    elseif type(key) == "number" then
        pointer = element_pointer(place, key)
    end
    return pointer and read(place, key, pointer)
end

local function length(proxy)
    local value_type, count = look(places[proxy])
    return value_type == ARRAY and count or 0
end

-- ---- Writing ---------------------------------------------------------------------------------

local function json_of(handle, pointer)
    local status = C.save_data_get_json(handle, pointer, #pointer, buffer)
    if status ~= 0 then
        fail(status)
    end
    return native.take_buffer()
end

local function json_of_proxy(proxy)
    local place = places[proxy]
    return place and json_of(place.handle, place.pointer)
end

--- The JSON text of a value, in which save data may occur.
function proxies.encode(item)
    local ok, text = pcall(json.encode, item, json_of_proxy)
    if not ok then
        misuse(text)
    end
    return text
end
local encode = proxies.encode

--- The JSON text of a value, whose empty table is an object.
function proxies.encode_object(item)
    if type(item) == "table" and getmetatable(item) == nil and next(item) == nil then
        return "{}"
    end
    return encode(item)
end

-- The status of writing a value to a pointer.
local function write(handle, pointer, item)
    local kind = type(item)
    if kind == "number" then
        if item == floor(item) and item <= EXACT and item >= -EXACT and (item ~= 0 or 1 / item > 0) then
            return C.save_data_set_i64(handle, pointer, #pointer, item)
        end
        return C.save_data_set_f64(handle, pointer, #pointer, item)
    elseif kind == "string" then
        return C.save_data_set_string(handle, pointer, #pointer, item, #item)
    elseif kind == "boolean" then
        return C.save_data_set_bool(handle, pointer, #pointer, item and 1 or 0)
    elseif item == json.null then
        return C.save_data_set_null(handle, pointer, #pointer)
    elseif kind == "cdata" and ffi.istype("int64_t", item) then
        return C.save_data_set_i64(handle, pointer, #pointer, item)
    end
    local text = encode(item)
    return C.save_data_set_json(handle, pointer, #pointer, text, #text)
end

-- An empty table is array and object in Lua; so an empty array or object in save data becomes the
-- other one when it is first given a member or element. Gives the status of the write, or the one given if
-- that is not the case.
local function write_first(place, key, member, item, status)
    local pointer = place.pointer
    local value_type, count = look(place)
    local wanted = type(key) == "string" and OBJECT or ARRAY
    if count > 0 or value_type < ARRAY or value_type == wanted then
        return status
    end
    local text = wanted == OBJECT and "{}" or "[]"
    local changed = C.save_data_set_json(place.handle, pointer, #pointer, text, #text)
    if changed ~= 0 then
        return changed
    end
    status = write(place.handle, member, item)
    if status ~= 0 then
        local back = wanted == OBJECT and "[]" or "{}"
        local failure = native.failure(status)
        C.save_data_set_json(place.handle, pointer, #pointer, back, #back)
        error(failure, 0)
    end
    return status
end

local function erase(place, key, pointer)
    if type(key) == "number" then
        local _, count = look(place)
        if key < count then
            misuse(("element %d of %d cannot be nil: session_locker.remove moves the later ones down")
                :format(key, count))
        end
    end
    local status = C.save_data_remove(place.handle, pointer, #pointer)
    if status ~= 0 and status ~= NOT_FOUND and status ~= INVALID_POINTER then
        fail(status)
    end
end

-- Writes to a key that indexes nothing: the name of an element, which is a member if the array is empty.
local function not_indexed(place, key, item)
    if type(key) ~= "string" then
        misuse("a key is a string, or the index of an array from 1 on, not " .. tostring(key))
    end
    local member = place.pointer .. "/" .. key
    if item ~= nil and write_first(place, key, member, item, native.WRONG_TYPE) ~= 0 then
        misuse(("the string %q is no index: at %q there is an array, which has numbers")
            :format(key, place.pointer))
    end
end

local function newindex(proxy, key, item)
    local place = places[proxy]
    local pointer, in_array
    if type(key) == "string" then
        pointer = place.pointers[key] or member_pointer(place, key)
    elseif type(key) == "number" then
        pointer, in_array = element_pointer(place, key)
    end
    if pointer == nil then
        return not_indexed(place, key, item)
    end
    if item == nil then
        return erase(place, key, pointer)
    end
    local status
    if in_array == false then
        status = write_first(place, key, pointer, item, native.WRONG_TYPE)
    else
        status = write(place.handle, pointer, item)
    end
    if status ~= 0 and type(key) == "string" and place.pointer ~= "" then
        -- It may have been the first member of an empty array.
        status = write_first(place, key, pointer, item, status)
    end
    if status ~= 0 then
        fail(status)
    end
end

local meta = getmetatable(prototype)
meta.__index = index
meta.__newindex = newindex
meta.__len = length

function meta.__eq(left, right)
    local one, other = places[left], places[right]
    return one.handle == other.handle and one.pointer == other.pointer
end

function meta.__tostring(proxy)
    local place = places[proxy]
    return place and ("save data at %q"):format(place.pointer) or "save data"
end

proxies.ARRAY = ARRAY
proxies.meta = meta
proxies.new = new_proxy
proxies.place_of = place_of
proxies.element_pointer = element_pointer
proxies.fetch = fetch
proxies.json_of = json_of
proxies.look = look
proxies.read = read
proxies.scalar = scalar
proxies.write = write

return proxies
