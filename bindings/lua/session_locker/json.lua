--- JSON for values that are assigned to save data, and for texts that the library hands out.
--
-- Lua's tables do not say whether they are arrays: one with elements from 1 on is, one with other keys
-- is an object, and an empty one is an array. `array` and `object` say it for good, and so does every
-- table that is decoded. Integers are exact: numbers up to 2^53, `int64_t` beyond, both ways.

local ffi = require("ffi")

local json = {}

local Array, Object = {}, {}
-- The library takes 128 levels from a script. What it hands out is a little deeper with what it adds.
local DEPTH_MAX = 128
local READ_DEPTH_MAX = 200
local EXACT = 2 ^ 53

--- JSON's null, which Lua's nil cannot be: there it means that there is nothing.
json.null = setmetatable({}, {
    __tostring = function()
        return "null"
    end,
    __newindex = function()
        error("null has no fields", 2)
    end,
})

--- Marks a table (a new one by default) as an array, also while it is empty.
function json.array(table)
    return setmetatable(table or {}, Array)
end

--- Marks a table (a new one by default) as an object, also while it is empty.
function json.object(table)
    return setmetatable(table or {}, Object)
end

-- ---- Writing ---------------------------------------------------------------------------------

local escapes = {
    ['"'] = '\\"',
    ["\\"] = "\\\\",
    ["\b"] = "\\b",
    ["\f"] = "\\f",
    ["\n"] = "\\n",
    ["\r"] = "\\r",
    ["\t"] = "\\t",
}

local function escape(char)
    return escapes[char] or ("\\u%04x"):format(char:byte())
end

local function encode_string(text)
    return '"' .. text:gsub('[%z\1-\31"\\]', escape) .. '"'
end

local function encode_number(number)
    if number ~= number or number == math.huge or number == -math.huge then
        error("JSON has no word for NaN and infinity", 0)
    end
    if number == math.floor(number) and number >= -EXACT and number <= EXACT then
        if number == 0 and 1 / number < 0 then
            return "-0.0"
        end
        return ("%.0f"):format(number)
    end
    local text
    for digits = 15, 17 do
        text = ("%." .. digits .. "g"):format(number)
        if tonumber(text) == number then
            break
        end
    end
    return text:find("[.e]") and text or text .. ".0"
end

local function encode_cdata(value)
    if ffi.istype("int64_t", value) or ffi.istype("uint64_t", value) then
        return (tostring(value):gsub("U?LL$", ""))
    end
    error("a cdata of type " .. tostring(ffi.typeof(value)) .. " cannot be saved", 0)
end

-- How many elements it has as an array; nil if it is an object.
local function array_length(table)
    local kind = getmetatable(table)
    if kind == Object then
        return nil
    end
    local length = #table
    if kind ~= Array and length == 0 and next(table) ~= nil then
        return nil
    end
    local count = 0
    for key in pairs(table) do
        if type(key) ~= "number" or key < 1 or key > length or key ~= math.floor(key) then
            error("a table is an array from 1 on, without holes, or an object of string keys, not both", 0)
        end
        count = count + 1
    end
    if count ~= length then
        error("a table is an array from 1 on, without holes, and this one has some", 0)
    end
    return length
end

local encode_value

local function encode_table(table, foreign, depth)
    if depth > DEPTH_MAX then
        error("nested deeper than 128 levels, or within itself", 0)
    end
    local parts = {}
    local length = array_length(table)
    if length ~= nil then
        for at = 1, length do
            parts[at] = encode_value(table[at], foreign, depth + 1)
        end
        return "[" .. _G.table.concat(parts, ",") .. "]"
    end
    for key, value in pairs(table) do
        if type(key) ~= "string" then
            error("an object has string keys only, not " .. tostring(key), 0)
        end
        parts[#parts + 1] = encode_string(key) .. ":" .. encode_value(value, foreign, depth + 1)
    end
    _G.table.sort(parts)
    return "{" .. _G.table.concat(parts, ",") .. "}"
end

function encode_value(value, foreign, depth)
    local kind = type(value)
    if kind == "number" then
        return encode_number(value)
    elseif kind == "string" then
        return encode_string(value)
    elseif kind == "boolean" then
        return value and "true" or "false"
    elseif value == json.null then
        return "null"
    elseif kind == "table" then
        return encode_table(value, foreign, depth)
    elseif kind == "cdata" then
        return encode_cdata(value)
    end
    local text = foreign and foreign(value)
    return text or error("a " .. kind .. " cannot be saved", 0)
end

--- The JSON text of a value. `foreign(value)` gives that of a userdata, or nil if it knows none.
function json.encode(value, foreign)
    return encode_value(value, foreign, 1)
end

-- ---- Reading ---------------------------------------------------------------------------------

local decode_value

local function fault(text, at)
    error(("no JSON: unexpected %s at byte %d"):format(
        at > #text and "end" or ("%q"):format(text:sub(at, at)), at - 1), 0)
end

local function skip(text, at)
    return text:find("[^ \t\r\n]", at) or #text + 1
end

local function utf8_of(code)
    local char, floor = string.char, math.floor
    if code < 0x80 then
        return char(code)
    elseif code < 0x800 then
        return char(0xC0 + floor(code / 0x40), 0x80 + code % 0x40)
    elseif code < 0x10000 then
        return char(0xE0 + floor(code / 0x1000), 0x80 + floor(code / 0x40) % 0x40, 0x80 + code % 0x40)
    end
    return char(0xF0 + floor(code / 0x40000), 0x80 + floor(code / 0x1000) % 0x40,
        0x80 + floor(code / 0x40) % 0x40, 0x80 + code % 0x40)
end

local unescaped = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local function decode_escape(text, at)
    local char = text:sub(at + 1, at + 1)
    if char ~= "u" then
        return unescaped[char] or fault(text, at + 1), at + 2
    end
    local code = tonumber(text:match("^%x%x%x%x", at + 2) or fault(text, at + 2), 16)
    at = at + 6
    if code >= 0xD800 and code < 0xDC00 then
        local low = tonumber(text:match("^\\u(%x%x%x%x)", at) or fault(text, at), 16)
        if low < 0xDC00 or low > 0xDFFF then
            fault(text, at)
        end
        return utf8_of(0x10000 + (code - 0xD800) * 0x400 + low - 0xDC00), at + 6
    elseif code >= 0xDC00 and code < 0xE000 then
        fault(text, at - 6)
    end
    return utf8_of(code), at
end

local function decode_string(text, at)
    local parts = {}
    at = at + 1
    while true do
        local stop = text:find('["\\%z\1-\31]', at) or fault(text, #text + 1)
        parts[#parts + 1] = text:sub(at, stop - 1)
        local char = text:sub(stop, stop)
        if char == '"' then
            return table.concat(parts), stop + 1
        elseif char ~= "\\" then
            fault(text, stop)
        end
        parts[#parts + 1], at = decode_escape(text, stop)
    end
end

-- An integer of up to 19 digits, exactly; nil if it does not fit 64 bits.
local function exact_integer(digits)
    local is_negative = digits:sub(1, 1) == "-"
    local magnitude = 0ULL
    for digit in digits:gmatch("%d") do
        magnitude = magnitude * 10ULL + (digit:byte() - 48)
    end
    if magnitude > (is_negative and 0x8000000000000000ULL or 0x7fffffffffffffffULL) then
        return nil
    end
    local value = ffi.cast("int64_t", magnitude)
    return is_negative and -value or value
end

local function decode_number(text, at)
    local whole = text:match("^-?%d+", at) or fault(text, at)
    if whole:find("^-?0%d") then
        fault(text, at + 1)
    end
    local rest = text:match("^%.%d+", at + #whole) or ""
    rest = rest .. (text:match("^[eE][+-]?%d+", at + #whole + #rest) or "")
    local after = at + #whole + #rest
    if rest == "" and #whole > 15 and #whole:match("%d+") <= 19 then
        local exact = exact_integer(whole)
        if exact ~= nil and (exact > 9007199254740992LL or exact < -9007199254740992LL) then
            return exact, after
        end
    end
    local number = tonumber(whole .. rest)
    if number == math.huge or number == -math.huge then
        error(("no JSON: a number too large at byte %d"):format(at - 1), 0)
    end
    return number, after
end

local function decode_array(text, at, depth)
    local array = json.array()
    at = skip(text, at + 1)
    if text:sub(at, at) == "]" then
        return array, at + 1
    end
    while true do
        array[#array + 1], at = decode_value(text, at, depth + 1)
        at = skip(text, at)
        local char = text:sub(at, at)
        if char == "]" then
            return array, at + 1
        elseif char ~= "," then
            fault(text, at)
        end
        at = at + 1
    end
end

local function decode_object(text, at, depth)
    local object = json.object()
    at = skip(text, at + 1)
    if text:sub(at, at) == "}" then
        return object, at + 1
    end
    while true do
        at = skip(text, at)
        if text:sub(at, at) ~= '"' then
            fault(text, at)
        end
        local key
        key, at = decode_string(text, at)
        at = skip(text, at)
        if text:sub(at, at) ~= ":" then
            fault(text, at)
        end
        object[key], at = decode_value(text, at + 1, depth + 1)
        at = skip(text, at)
        local char = text:sub(at, at)
        if char == "}" then
            return object, at + 1
        elseif char ~= "," then
            fault(text, at)
        end
        at = at + 1
    end
end

local words = { ["true"] = true, ["false"] = false, ["null"] = json.null }

function decode_value(text, at, depth)
    if depth > READ_DEPTH_MAX then
        error("no JSON: nested deeper than 200 levels", 0)
    end
    at = skip(text, at)
    local char = text:sub(at, at)
    if char == "{" then
        return decode_object(text, at, depth)
    elseif char == "[" then
        return decode_array(text, at, depth)
    elseif char == '"' then
        return decode_string(text, at)
    elseif char:find("[%d-]") then
        return decode_number(text, at)
    end
    local word = text:match("^%l+", at)
    if word == nil or words[word] == nil then
        fault(text, at)
    end
    return words[word], at + #word
end

--- The value of a JSON text. Objects and arrays become tables that know which they are, null becomes
-- `json.null`.
function json.decode(text)
    local value, at = decode_value(text, 1, 1)
    at = skip(text, at)
    if at <= #text then
        fault(text, at)
    end
    return value
end

return json
