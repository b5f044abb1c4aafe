--- What scripts do with save data besides reading and writing its fields: functions that take a save data,
-- or a place in one, and a JSON Pointer (RFC 6901), which begins at that place; iteration; save data of
-- their own; and backups.

local ffi = require("ffi")
local json = require("session_locker.json")
local native = require("session_locker.native")
local proxies = require("session_locker.proxy")

local C, calls = native.C, native.calls
local misuse, refuse = native.misuse, native.refuse
local buffer = native.buffer
local ARRAY, NOT_FOUND = proxies.ARRAY, native.NOT_FOUND
local encode, json_of, look, place_of = proxies.encode, proxies.json_of, proxies.look, proxies.place_of

local save_data = {
    root = proxies.root,
    is = proxies.is,
    handle = proxies.handle,
    encode = proxies.encode,
    encode_object = proxies.encode_object,
}

--- The value of a JSON text. Objects and arrays become tables that know which they are, null becomes `null`.
function save_data.decode(text)
    native.expect(text, "string", "JSON text")
    local ok, value = pcall(json.decode, text)
    if not ok then
        refuse("SL_ERROR_INVALID_JSON", value)
    end
    return value
end

local TYPE_NAMES = { [0] = "null", "boolean", "integer", "float", "string", "array", "object" }

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
    local value_type = proxies.fetch(place.handle, full)
    if value_type == nil then
        return nil
    elseif value_type >= ARRAY then
        return full == place.pointer and proxy or proxies.new(place.handle, full)
    end
    return proxies.scalar(value_type)
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
    native.check(proxies.write(place.handle, full, item))
end

--- Sets a number that stays a float also without a fraction, which assigning does not see.
function save_data.set_float(proxy, pointer, number)
    local place, full = resolve(proxy, pointer)
    native.expect(number, "number", "a float")
    native.check(C.save_data_set_f64(place.handle, full, #full, number))
end

local sum = native.scratch("int64_t[1]")

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
    local pointer = proxies.element_pointer(place, index)
    local removed = pointer and proxies.read(place, index, pointer)
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
    local pointer = proxies.element_pointer(place, index)
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
    if not proxies.is(proxy) then
        return ipairs(proxy)
    end
    return next_element, proxy, 0
end

--- `pairs` for save data and for tables: an array's elements in order, or an object's members as they
-- were named when it began, each with the value of its moment.
function save_data.pairs(proxy)
    if not proxies.is(proxy) then
        return pairs(proxy)
    end
    if look(place_of(proxy)) == ARRAY then
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
proxies.meta.__pairs = save_data.pairs
proxies.meta.__ipairs = save_data.ipairs

-- ---- Save data of the script's own, and backups ----------------------------------------------

local out = native.scratch("SlSaveData *[1]")

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
local Backups = {}

-- A script that takes it for a table would find every field to be nil.
function Backups.__index(_, name)
    return Backup[name]
        or misuse(("a backup has no field %s: it can be put back, and copy gives a table"):format(tostring(name)))
end

function Backups.__newindex()
    misuse("a backup cannot be written")
end

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
    if not proxies.is(table) then
        return copy_table(table, {})
    end
    local place = place_of(table)
    if place.pointer ~= "" then
        return save_data.copy(table)
    end
    local backup = ffi.new("SlSaveDataBackup *[1]")
    native.check(calls.save_data_backup(place.handle, backup))
    return setmetatable({ _handle = native.own(backup[0], "save_data_backup_destroy") }, Backups)
end

--- Puts a save data, a place in one, or a Lua table back as it was when it was copied. A backup of a
-- whole save data may also be of another one; it stays as it is.
function save_data.TableRestoreBackup(table, backup)
    if getmetatable(backup) == Backups then
        return native.check(calls.save_data_restore(whole(table), backup._handle))
    elseif proxies.is(table) then
        return save_data.set(table, "", backup)
    end
    native.expect(table, "table", "what is put back")
    local copy = copy_table(native.expect(backup, "table", "a backup"), {})
    for key in pairs(table) do
        table[key] = nil
    end
    for key, item in pairs(copy) do
        table[key] = item
    end
end

return save_data
