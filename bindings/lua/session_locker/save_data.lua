--- Save data as Lua has it: `data.Gold = data.Gold + 10`.
--
-- A proxy stands for a place in the save data and holds nothing itself: each read and write is one call
-- of the library, so it always shows what is there, and a write is noted as a change. Beside it stand
-- functions that take a proxy and a JSON Pointer (RFC 6901), which begins at the proxy's place.
--
-- Proxies are userdata, for a table has no `#` of its own in Lua 5.1. What a proxy stands for is in
-- `places`. A place refers to no proxy above it, so that the collector takes what nobody uses.

local ffi = require("ffi")
local json = require("session_locker.json")
local native = require("session_locker.native")

local C, calls = native.C, native.calls
local fail, misuse, refuse = native.fail, native.misuse, native.refuse
local buffer = native.buffer
local floor = math.floor

local save_data = {}

local NOT_FOUND = native.NOT_FOUND
local BOOL = C.SL_VALUE_BOOL
local INTEGER = C.SL_VALUE_INTEGER
local FLOAT = C.SL_VALUE_FLOAT
local STRING = C.SL_VALUE_STRING
local ARRAY = C.SL_VALUE_ARRAY
local OBJECT = C.SL_VALUE_OBJECT
local TYPE_NAMES = { [0] = "null", "boolean", "integer", "float", "string", "array", "object" }

local EXACT = 2 ^ 53
-- How many names a place remembers, of members that were asked for.
local NAMES_MAX = 1024

-- A place: `handle` and `pointer`, which say where it is, and the pointers and proxies of the members
-- that were asked for.
local places = setmetatable({}, { __mode = "k" })
local prototype = newproxy(true)

local function new_proxy(handle, pointer)
    local proxy = newproxy(prototype)
    places[proxy] = { handle = handle, pointer = pointer, pointers = {}, proxies = {}, names = 0 }
    return proxy
end

local function place_of(proxy)
    local place = places[proxy]
    if place == nil then
        misuse("a save data is needed, not a " .. type(proxy))
    end
    return place
end

--- The proxy of a whole save data. The handle may be one that the collector ends.
function save_data.root(handle)
    return new_proxy(handle, "")
end

--- Whether a value is a save data, or a place in one.
function save_data.is(value)
    return places[value] ~= nil
end

--- The save data's handle, for C functions.
function save_data.handle(proxy)
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

local function member_pointer(place, name)
    local token = name:gsub("~", "~0"):gsub("/", "~1")
    return remember(place, name, place.pointer .. "/" .. token)
end

-- ---- Reading ---------------------------------------------------------------------------------

local value = ffi.new("SlValue")

-- An array or object that is part of a place.
local function part(place, key, pointer)
    local proxy = place.proxies[key]
    if proxy == nil then
        proxy = new_proxy(place.handle, pointer)
        place.proxies[key] = proxy
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

-- Fetches into `value`, and gives its type; nil if there is nothing.
local function fetch(handle, pointer)
    local status = C.save_data_get_value(handle, pointer, #pointer, value)
    if status == 0 then
        return value.value_type
    elseif status ~= NOT_FOUND then
        fail(status)
    end
end

local function read(place, key, pointer)
    local value_type = fetch(place.handle, pointer)
    if value_type == nil then
        return nil
    elseif value_type >= ARRAY then
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
    if index < 1 or index ~= floor(index) then
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
        if pointer == nil then
            return nil
        end
    else
        return nil
    end
    return read(place, key, pointer)
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
function save_data.encode(item)
    local ok, text = pcall(json.encode, item, json_of_proxy)
    if not ok then
        misuse(text)
    end
    return text
end
local encode = save_data.encode

--- The JSON text of a value, whose empty table is an object.
function save_data.encode_object(item)
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
local function write_first(place, key, item, status)
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
    status = write(place.handle, place.pointers[key], item)
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
    if status ~= 0 and status ~= NOT_FOUND then
        fail(status)
    end
end

local function newindex(proxy, key, item)
    local place = places[proxy]
    local pointer, is_array
    if type(key) == "string" then
        pointer = place.pointers[key] or member_pointer(place, key)
    elseif type(key) == "number" then
        pointer, is_array = element_pointer(place, key)
    end
    if pointer == nil then
        misuse("a key is a string, or the index of an array from 1 on, not " .. tostring(key))
    end
    if item == nil then
        return erase(place, key, pointer)
    end
    local status
    if is_array == false then
        status = write_first(place, key, item, native.WRONG_TYPE)
    else
        status = write(place.handle, pointer, item)
    end
    if status ~= 0 and type(key) == "string" and place.pointer ~= "" then
        -- It may have been the first member of an empty array.
        status = write_first(place, key, item, status)
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

-- ---- By JSON Pointer -------------------------------------------------------------------------

local function resolve(proxy, pointer)
    local place = place_of(proxy)
    if pointer == nil or pointer == "" then
        return place, place.pointer
    end
    if native.expect(pointer, "string", "a JSON Pointer"):byte() ~= 47 then
        refuse("SL_ERROR_INVALID_POINTER", ("a JSON Pointer begins with /, and %q does not"):format(pointer))
    end
    return place, place.pointer .. pointer
end

--- The value at a JSON Pointer; nil if there is none. Arrays and objects come as save data.
function save_data.get(proxy, pointer)
    local place, full = resolve(proxy, pointer)
    local value_type = fetch(place.handle, full)
    if value_type == nil then
        return nil
    elseif value_type >= ARRAY then
        return full == place.pointer and proxy or new_proxy(place.handle, full)
    end
    return scalar(value_type)
end

--- Sets the value at a JSON Pointer; in an array, its length or "-" appends.
function save_data.set(proxy, pointer, item)
    local place, full = resolve(proxy, pointer)
    if full == "" then
        local text = save_data.encode_object(item)
        return native.check(C.save_data_set_json(place.handle, full, 0, text, #text))
    end
    if item == nil then
        misuse("nil cannot be saved: use null, or remove")
    end
    native.check(write(place.handle, full, item))
end

--- Sets a number that stays a float also without a fraction, which assigning does not see.
function save_data.set_float(proxy, pointer, number)
    local place, full = resolve(proxy, pointer)
    native.expect(number, "number", "a float")
    native.check(C.save_data_set_f64(place.handle, full, #full, number))
end

local sum = ffi.new("int64_t[1]")

--- Adds to the integer at a JSON Pointer, in one step, and gives the sum.
function save_data.add(proxy, pointer, delta)
    local place, full = resolve(proxy, pointer)
    native.check(C.save_data_add_i64(place.handle, full, #full, native.int64(delta, "what is added"), sum))
    return native.integer(sum[0])
end

--- Appends a value to the array at a JSON Pointer.
function save_data.append(proxy, pointer, item)
    local place, full = resolve(proxy, pointer)
    local text = encode(item)
    native.check(C.save_data_append(place.handle, full, #full, text, #text))
end

local function remove_element(proxy, index)
    local place = place_of(proxy)
    local _, count = look(place)
    index = index or count
    if count == 0 and index == 0 then
        return nil
    end
    local pointer = element_pointer(place, index)
    local removed = pointer and read(place, index, pointer)
    if removed == nil then
        misuse(("there is no element %s to remove"):format(tostring(index)))
    end
    if save_data.is(removed) then
        removed = save_data.copy(removed)
    end
    native.check(C.save_data_remove(place.handle, pointer, #pointer))
    return removed
end

--- Removes the value at a JSON Pointer; or, as `table.remove` does, the element of an array with this
-- index, the last one without any, which is given back, and later elements move down.
function save_data.remove(proxy, pointer)
    if type(pointer) ~= "string" then
        return remove_element(proxy, pointer)
    end
    local place, full = resolve(proxy, pointer)
    native.check(C.save_data_remove(place.handle, full, #full))
end

--- Inserts a value into an array, as `table.insert` does: at the end, or at an index, from which on the
-- elements move up.
function save_data.insert(proxy, ...)
    local place = place_of(proxy)
    local index, item = ...
    if select("#", ...) == 1 then
        return save_data.append(proxy, "", index)
    end
    local pointer = element_pointer(place, index)
    if pointer == nil then
        misuse("an index is a whole number from 1 on, not " .. tostring(index))
    end
    save_data.apply_patch(save_data.root(place.handle), {
        { op = "add", path = pointer, value = item },
    })
end

--- Whether there is anything at a JSON Pointer, a null too.
function save_data.contains(proxy, pointer)
    local place, full = resolve(proxy, pointer)
    local is_there = ffi.new("int32_t[1]")
    native.check(C.save_data_contains(place.handle, full, #full, is_there))
    return is_there[0] == 1
end

--- What is at a JSON Pointer: "null", "boolean", "integer", "float", "string", "array" or "object"; nil
-- if there is nothing.
function save_data.type(proxy, pointer)
    local place, full = resolve(proxy, pointer)
    local value_type = ffi.new("int32_t[1]")
    local status = C.save_data_type(place.handle, full, #full, value_type)
    if status == NOT_FOUND then
        return nil
    end
    native.check(status)
    return TYPE_NAMES[value_type[0]]
end

--- How many elements the array, members the object, or bytes the string at a JSON Pointer has.
function save_data.length(proxy, pointer)
    local place, full = resolve(proxy, pointer)
    local count = ffi.new("size_t[1]")
    native.check(C.save_data_length(place.handle, full, #full, count))
    return tonumber(count[0])
end

--- The names of the members of the object at a JSON Pointer, in their order.
function save_data.names(proxy, pointer)
    local place, full = resolve(proxy, pointer)
    native.check(C.save_data_get_names(place.handle, full, #full, buffer))
    return json.decode(native.take_buffer())
end

--- The value at a JSON Pointer as JSON text.
function save_data.json(proxy, pointer)
    local place, full = resolve(proxy, pointer)
    return json_of(place.handle, full)
end

--- Sets the value at a JSON Pointer to JSON text.
function save_data.set_json(proxy, pointer, text)
    local place, full = resolve(proxy, pointer)
    native.expect(text, "string", "JSON text")
    native.check(C.save_data_set_json(place.handle, full, #full, text, #text))
end

--- The value at a JSON Pointer as a Lua value of its own, tables and all, which later writes do not
-- change.
function save_data.copy(proxy, pointer)
    return json.decode(save_data.json(proxy, pointer))
end

local function whole(proxy)
    local place = place_of(proxy)
    if place.pointer ~= "" then
        misuse("a patch is applied to a whole save data, not to a place in it")
    end
    return place.handle
end

--- Applies a JSON Merge Patch (RFC 7396), a table or JSON text, to a whole save data: what is `null` in
-- it is removed.
function save_data.merge_patch(proxy, patch)
    local handle = whole(proxy)
    local text = type(patch) == "string" and patch or save_data.encode_object(patch)
    native.check(C.save_data_merge_patch(handle, text, #text))
end

--- Applies a JSON Patch (RFC 6902), an array of operations or JSON text, to a whole save data: all of
-- them or none.
function save_data.apply_patch(proxy, patch)
    local handle = whole(proxy)
    local text = type(patch) == "string" and patch or encode(patch)
    native.check(C.save_data_apply_patch(handle, text, #text))
end

-- ---- Going through ---------------------------------------------------------------------------

local function next_element(proxy, index)
    index = index + 1
    local item = proxy[index]
    if item ~= nil then
        return index, item
    end
end

--- `ipairs` for save data and for tables.
function save_data.ipairs(proxy)
    if places[proxy] == nil then
        return ipairs(proxy)
    end
    return next_element, proxy, 0
end

--- `pairs` for save data and for tables: an array's elements in order, or an object's members as they
-- were named when it began, each with the value of its moment.
function save_data.pairs(proxy)
    local place = places[proxy]
    if place == nil then
        return pairs(proxy)
    end
    if look(place) == ARRAY then
        return next_element, proxy, 0
    end
    local names, at = save_data.names(proxy), 0
    return function()
        while at < #names do
            at = at + 1
            local item = proxy[names[at]]
            if item ~= nil then
                return names[at], item
            end
        end
    end
end

-- Only a LuaJIT built with Lua 5.2 compatibility asks for these.
meta.__pairs = save_data.pairs
meta.__ipairs = save_data.ipairs

-- ---- Save data of the script's own, and backups ----------------------------------------------

local out = ffi.new("SlSaveData *[1]")

--- A save data of the script's own, which belongs to no session, with the fields of a table or of JSON
-- text (none without). For drafts, tools and tests.
function save_data.create(fields)
    local text = type(fields) == "string" and fields or save_data.encode_object(fields or {})
    native.check(calls.save_data_create(text, #text, out))
    return save_data.root(native.own(out[0], "save_data_destroy"))
end

--- A save data of the script's own from a stored document, as `Storage:Fetch` gives it, reserved
-- fields included.
function save_data.parse(bytes)
    native.expect(bytes, "string", "a document")
    native.check(calls.save_data_parse(bytes, #bytes, out))
    return save_data.root(native.own(out[0], "save_data_destroy"))
end

--- Frees a save data of the script's own now, which the collector does else. Any use of it after that
-- is an error.
function save_data.destroy(proxy)
    local handle = whole(proxy)
    native.check(calls.save_data_destroy(handle))
    native.release(handle)
end

local Backup = {}
Backup.__index = Backup

--- Frees the backup now, which the collector does else.
function Backup:Destroy()
    native.check(calls.save_data_backup_destroy(self._handle))
    native.release(self._handle)
end

local function copy_table(table, copies)
    if type(table) ~= "table" or table == json.null then
        return table
    end
    if copies[table] == nil then
        local copy = setmetatable({}, getmetatable(table))
        copies[table] = copy
        for key, item in pairs(table) do
            copy[copy_table(key, copies)] = copy_table(item, copies)
        end
    end
    return copies[table]
end

--- A deep copy: of a whole save data, a backup of the player's fields, which is cheap and shares what
-- does not change; of a place in one, or of a Lua table, a table.
function save_data.TableDeepCopy(table)
    local place = places[table]
    if place == nil then
        return copy_table(table, {})
    elseif place.pointer ~= "" then
        return save_data.copy(table)
    end
    local backup = ffi.new("SlSaveDataBackup *[1]")
    native.check(calls.save_data_backup(place.handle, backup))
    return setmetatable({ _handle = native.own(backup[0], "save_data_backup_destroy") }, Backup)
end

--- Puts a save data, a place in one, or a Lua table back as it was when it was copied. A backup of a
-- whole save data may also be of another one; it stays as it is.
function save_data.TableRestoreBackup(table, backup)
    if getmetatable(backup) == Backup then
        return native.check(calls.save_data_restore(whole(table), backup._handle))
    elseif places[table] ~= nil then
        return save_data.set(table, "", backup)
    end
    local copy = copy_table(backup, {})
    for key in pairs(table) do
        table[key] = nil
    end
    for key, item in pairs(copy) do
        table[key] = item
    end
end

return save_data
