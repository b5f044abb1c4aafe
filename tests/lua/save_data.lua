--- Save data: what is read, what is written, and what is refused.

local ffi = require("ffi")
local check = require("check")
local sl = require("session_locker")

local test, equal, refused = check.test, check.equal, check.refused

-- The JSON of a whole save data without its reserved fields, its members in the order of their names.
local function fields_of(data)
    local fields = sl.copy(data)
    fields.VersionPatch, fields.Purchases, fields.ProductCredit = nil, nil, nil
    return sl.encode(fields)
end

test("fields are read and written as those of a table", function()
    local data = sl.SaveDataCreate({ Gold = 5 })
    data.Gold = data.Gold + 10
    data.Name = "Ann"
    data.IsVip = true
    equal(data.Gold, 15)
    equal(data.Name, "Ann")
    equal(data.IsVip, true)
    equal(data.Missing, nil)
    equal(fields_of(data), '{"Gold":15,"IsVip":true,"Name":"Ann"}')
end)

test("nested tables are read and written in place", function()
    local data = sl.SaveDataCreate({ Stats = { Level = 1, Deep = { Er = 2 } } })
    data.Stats.Level = data.Stats.Level + 1
    data.Stats.Deep.Er = "x"
    data.Stats.New = { A = 1 }
    equal(sl.json(data, "/Stats"), '{"Deep":{"Er":"x"},"Level":2,"New":{"A":1}}')
    local stats = data.Stats
    data.Stats = { Level = 9 }
    equal(stats.Level, 9)
end)

test("assigning nil removes a field, and one that is not there stays away", function()
    local data = sl.SaveDataCreate({ A = 1 })
    data.A = nil
    data.B = nil
    equal(fields_of(data), "{}")
end)

test("arrays count from one, have a length, and grow at their end", function()
    local data = sl.SaveDataCreate({ Items = { "a", "b" } })
    equal(#data.Items, 2)
    equal(data.Items[1], "a")
    equal(data.Items[3], nil)
    equal(data.Items[0], nil)
    equal(data.Items[1.5], nil)
    data.Items[#data.Items + 1] = "c"
    data.Items[1] = "A"
    data.Items[#data.Items] = nil
    equal(sl.json(data, "/Items"), '["A","b"]')
    equal(sl.get(data, "/Items/0"), "A")
end)

test("an array has no holes", function()
    local data = sl.SaveDataCreate({ Items = { 1, 2, 3 } })
    refused("SL_ERROR_INVALID_ARGUMENT", "remove", function()
        data.Items[1] = nil
    end)
    refused("SL_ERROR_NOT_FOUND", "/Items/6", function()
        data.Items[7] = 1
    end)
    refused("SL_ERROR_INVALID_ARGUMENT", "without holes", function()
        data.Items = { 1, nil, 3, nil, 5 }
    end)
    equal(fields_of(data), '{"Items":[1,2,3]}')
end)

test("insert and remove move elements as table's functions do", function()
    local data = sl.SaveDataCreate({ Items = { "b" } })
    sl.insert(data.Items, "d")
    sl.insert(data.Items, 1, "a")
    sl.insert(data.Items, 3, { "c" })
    equal(sl.json(data.Items), '["a","b",["c"],"d"]')
    equal(sl.remove(data.Items), "d")
    equal(sl.remove(data.Items, 1), "a")
    equal(sl.remove(data.Items, 2), { "c" })
    equal(sl.json(data.Items), '["b"]')
    sl.remove(data.Items)
    equal(sl.remove(data.Items), nil)
    refused("SL_ERROR_INVALID_ARGUMENT", "no element 4", sl.remove, data.Items, 4)
end)

test("ipairs and pairs go through save data, and through tables", function()
    local data = sl.SaveDataCreate({ Items = { "a", "b" }, Bag = { ["x/y"] = 1, ["~"] = 2 } })
    local seen = check.list()
    for at, item in sl.ipairs(data.Items) do
        seen(at, item)
    end
    for at, item in sl.pairs(data.Items) do
        seen(at, item)
    end
    for name, item in sl.pairs(data.Bag) do
        seen(name, item)
    end
    for name, item in sl.pairs({ z = 3 }) do
        seen(name, item)
    end
    for at, item in sl.ipairs({ "t" }) do
        seen(at, item)
    end
    equal(seen, { "1 a", "2 b", "1 a", "2 b", "x/y 1", "~ 2", "z 3", "1 t" })
    equal(sl.names(data.Bag), { "x/y", "~" })
end)

test("members that are removed on the way are passed over", function()
    local data = sl.SaveDataCreate({ Bag = { A = 1, B = 2, C = 3 } })
    local seen = check.list()
    for name in sl.pairs(data.Bag) do
        seen(name)
        data.Bag.B = nil
    end
    equal(seen, { "A", "C" })
end)

test("an empty table is array and object until the first element or member", function()
    local data = sl.SaveDataCreate({})
    data.A, data.B = {}, {}
    data.A.x = 1
    data.B[1] = 2
    data.C = sl.object()
    data.C[1] = 3
    equal(fields_of(data), '{"A":{"x":1},"B":[2],"C":[3]}')
    data.D = sl.array({})
    data.E = sl.object({})
    equal(sl.json(data, "/D") .. sl.json(data, "/E"), "[]{}")
end)

test("a name in an array reads as nil, and an empty table is asked for names before it has any", function()
    local data = sl.SaveDataCreate({ Bag = {}, Items = { "a", "b" } })
    for _, name in ipairs({ "sword", "0", "1", "-", "" }) do
        equal(data.Bag[name], nil)
        equal(data.Items[name], nil)
        data.Bag[name] = nil
        data.Items[name] = nil
    end
    equal(fields_of(data), '{"Bag":[],"Items":["a","b"]}')
    data.Bag.sword = (data.Bag.sword or 0) + 1
    equal(fields_of(data), '{"Bag":{"sword":1},"Items":["a","b"]}')
end)

test("a string of digits names a member, and never an element", function()
    local data = sl.SaveDataCreate({ Friends = {}, Items = { "a", "b" } })
    data.Friends["0"] = 1
    data.Friends["-"] = { 2 }
    data.Friends["0"] = data.Friends["0"] + 1
    equal(data.Friends["-"][1], 2)
    for _, name in ipairs({ "0", "1", "2", "-" }) do
        refused("SL_ERROR_INVALID_ARGUMENT", "is no index", function()
            data.Items[name] = "c"
        end)
    end
    equal(fields_of(data), '{"Friends":{"-":[2],"0":2},"Items":["a","b"]}')
    data.Friends["0"] = nil
    equal(sl.json(data, "/Friends"), '{"-":[2]}')
end)

test("an index that no array has reads as nil, and cannot be written", function()
    local data = sl.SaveDataCreate({ Items = { 1 } })
    for _, index in ipairs({ 0, -1, 1.5, 2, 2 ^ 53, 1e300, math.huge, -math.huge, 0 / 0 }) do
        equal(data.Items[index], nil)
        equal(pcall(function()
            data.Items[index == 2 and 3 or index] = 1
        end), false)
    end
    equal(fields_of(data), '{"Items":[1]}')
end)

test("an empty array whose first member is refused stays an empty array", function()
    local data = sl.SaveDataCreate({ A = {} })
    refused("SL_ERROR_INVALID_UTF8", nil, function()
        data.A.x = "\255"
    end)
    equal(fields_of(data), '{"A":[]}')
end)

test("a number does not index an object, nor a name an array", function()
    local data = sl.SaveDataCreate({ Credits = { ["1001"] = 5 }, Items = { 1 } })
    refused("SL_ERROR_INVALID_ARGUMENT", "string keys", function()
        return data.Credits[1001]
    end)
    refused("SL_ERROR_INVALID_ARGUMENT", "string keys", function()
        data.Credits[1001] = 6
    end)
    equal(pcall(function()
        data.Items.x = 1
    end), false)
    refused("SL_ERROR_INVALID_ARGUMENT", "a key is", function()
        data[true] = 1
    end)
    equal(fields_of(data), '{"Credits":{"1001":5},"Items":[1]}')
end)

test("integers of 64 bits are exact, both ways", function()
    local data = sl.SaveDataCreate({})
    for _, integer in ipairs({
        9223372036854775807LL, -9223372036854775807LL - 1, 9007199254740993LL, -9007199254740993LL,
    }) do
        data.N, data.T = integer, nil
        equal(data.N, integer)
        assert(ffi.istype("int64_t", data.N))
        equal(fields_of(data), '{"N":' .. tostring(integer):gsub("LL", "") .. "}")
        data.T = { integer }
        equal(data.T[1], integer)
        equal(sl.copy(data).N, integer)
    end
    for _, integer in ipairs({ 2 ^ 53, -2 ^ 53, 2 ^ 53 - 1, 0, -1 }) do
        data.N = integer
        equal(data.N, integer)
        equal(type(data.N), "number")
        equal(sl.type(data, "/N"), "integer")
    end
    equal(sl.add(sl.SaveDataCreate('{"N":9007199254740993}'), "/N", 2), 9007199254740995LL)
    data.N = 5
    equal(sl.add(data, "/N", -7), -2)
    refused("SL_ERROR_INVALID_ARGUMENT", "integer", sl.add, data, "/N", 0.5)
end)

test("floats are exact, and stay floats", function()
    local data = sl.SaveDataCreate({})
    for _, float in ipairs({ 0.1, 1 / 3, 1e300, 5e-324, -2.5, 2 ^ 60, 2 ^ 54 }) do
        data.F = float
        equal(data.F, float)
        data.T = { float }
        equal(data.T[1], float)
        equal(sl.copy(data).T[1], float)
        equal(sl.type(data, "/F"), "float")
        equal(sl.type(data, "/T/0"), "float")
    end
    data.F = -0
    equal(1 / data.F, -math.huge)
    equal(sl.encode({ -0, 0 }), "[-0.0,0]")
    sl.set_float(data, "/F", 3)
    equal(sl.json(data, "/F"), "3.0")
    equal(data.F, 3)
end)

test("NaN, infinity, and what JSON has no word for are refused, and nothing is written", function()
    local data = sl.SaveDataCreate({ A = 1 })
    for _, number in ipairs({ 0 / 0, math.huge, -math.huge }) do
        refused("SL_ERROR_OUT_OF_RANGE", nil, function()
            data.A = number
        end)
        refused("SL_ERROR_INVALID_ARGUMENT", "NaN", function()
            data.B = { number }
        end)
    end
    for _, value in ipairs({ print, coroutine.create(print), newproxy(), ffi.new("int[2]") }) do
        refused("SL_ERROR_INVALID_ARGUMENT", "cannot be saved", function()
            data.B = value
        end)
    end
    local circle = {}
    circle.circle = circle
    refused("SL_ERROR_INVALID_ARGUMENT", "within itself", function()
        data.B = circle
    end)
    refused("SL_ERROR_INVALID_ARGUMENT", "not both", function()
        data.B = { 1, x = 2 }
    end)
    refused("SL_ERROR_INVALID_ARGUMENT", "string keys", function()
        data.B = { [true] = 2 }
    end)
    equal(fields_of(data), '{"A":1}')
end)

test("strings may have NULs and any character, and must be UTF-8", function()
    local data = sl.SaveDataCreate({})
    for _, text in ipairs({ "", "a\0b", "Ann Ünal", "日本", "\240\159\152\128", '"\\/\b\f\n\r\t\1', "\127" }) do
        data.S = text
        equal(data.S, text)
        data.T = { text, { [text .. "k"] = text } }
        equal(data.T[1], text)
        equal(data.T[2][text .. "k"], text)
        equal(sl.copy(data).S, text)
    end
    refused("SL_ERROR_INVALID_UTF8", nil, function()
        data.S = "\255"
    end)
    refused("SL_ERROR_INVALID_UTF8", nil, function()
        data.T = { "\192\128" }
    end)
    refused("SL_ERROR_INVALID_UTF8", nil, function()
        return data["\255"]
    end)
    equal(data.S, "\127")
end)

test("keys may have any character, those of JSON Pointers too", function()
    local data = sl.SaveDataCreate({})
    for _, key in ipairs({ "a/b", "m~n", "~1", "", "get", "pairs", "0", "ü", "x y", "a\0b" }) do
        data[key] = { [key] = key }
        equal(data[key][key], key)
    end
    equal(sl.get(data, "/a~1b/a~1b"), "a/b")
    equal(sl.get(data, "/m~0n/m~0n"), "m~n")
    equal(sl.get(data, "/~01/~01"), "~1")
    for _ = 1, 3 do
        for at = 1, 1500 do
            data["k" .. at] = at
        end
    end
    equal(data.k1 + data.k1500, 1501)
end)

test("null is a value of its own", function()
    local data = sl.SaveDataCreate({ N = sl.null })
    equal(data.N, sl.null)
    data.N = 1
    data.N = sl.null
    equal(fields_of(data), '{"N":null}')
    equal(sl.contains(data, "/N"), true)
    equal(tostring(sl.null), "null")
    equal(pcall(function()
        sl.null.x = 1
    end), false)
end)

test("by JSON Pointer everything can be read, written and asked", function()
    local data = sl.SaveDataCreate({ Bag = { Items = { { Id = 7 } } } })
    equal(sl.get(data, "/Bag/Items/0/Id"), 7)
    equal(sl.get(data, "/Nowhere"), nil)
    equal(sl.get(data, ""), data)
    equal(sl.get(data.Bag, "/Items/0").Id, 7)
    sl.set(data, "/Bag/Items/-", { Id = 8 })
    sl.append(data.Bag, "/Items", 9)
    equal(sl.length(data, "/Bag/Items"), 3)
    sl.remove(data, "/Bag/Items/0")
    equal(sl.json(data, "/Bag"), '{"Items":[{"Id":8},9]}')
    equal(sl.contains(data, "/Bag/Items/2"), false)
    for pointer, name in pairs({
        ["/Bag"] = "object", ["/Bag/Items"] = "array", ["/Bag/Items/1"] = "integer", ["/x"] = nil,
    }) do
        equal(sl.type(data, pointer), name)
    end
    sl.set_json(data, "/Raw", '[1,"x",null]')
    equal(sl.json(data, "/Raw"), '[1,"x",null]')
    refused("SL_ERROR_INVALID_JSON", nil, sl.set_json, data, "/Raw", "[")
    refused("SL_ERROR_INVALID_POINTER", "begins with /", sl.get, data, "Bag")
    refused("SL_ERROR_NOT_FOUND", nil, sl.set, data, "/a/b/c", 1)
    refused("SL_ERROR_INVALID_ARGUMENT", "nil cannot", sl.set, data, "/a", nil)
    refused("SL_ERROR_NOT_FOUND", nil, sl.remove, data, "/nothing")
    refused("SL_ERROR_WRONG_TYPE", nil, sl.append, data, "/Bag", 1)
    refused("SL_ERROR_NOT_FOUND", nil, sl.add, data, "/nothing", 1)
    sl.set(data, "", { Only = 1 })
    equal(fields_of(data), '{"Only":1}')
    sl.set(data, "", {})
    equal(fields_of(data), "{}")
end)

test("patches are applied whole or not at all", function()
    local data = sl.SaveDataCreate({ A = 1, B = 2 })
    sl.merge_patch(data, { A = sl.null, C = { D = 3 } })
    equal(fields_of(data), '{"B":2,"C":{"D":3}}')
    sl.apply_patch(data, { { op = "add", path = "/E", value = 4 }, { op = "remove", path = "/B" } })
    equal(fields_of(data), '{"C":{"D":3},"E":4}')
    refused("SL_ERROR_PATCH_FAILED", "1", sl.apply_patch, data,
        { { op = "remove", path = "/E" }, { op = "remove", path = "/x" } })
    equal(data.E, 4)
    refused("SL_ERROR_INVALID_ARGUMENT", "whole", sl.merge_patch, data.C, {})
end)

test("a value of save data that is assigned is copied", function()
    local data = sl.SaveDataCreate({ A = { x = { 1, 2 } } })
    data.B = data.A
    data.B.x[1] = 9
    data.C = { data.A.x, "y" }
    equal(fields_of(data), '{"A":{"x":[1,2]},"B":{"x":[9,2]},"C":[[1,2],"y"]}')
end)

test("a copy is a table of its own, which knows what is an array", function()
    local data = sl.SaveDataCreate('{"A":{},"B":[],"C":null,"D":[1,{"E":-1.5e3}]}')
    local copy = sl.copy(data)
    equal(copy.C, sl.null)
    equal(copy.D[2].E, -1500)
    data.D = nil
    sl.set(data, "", copy)
    equal(fields_of(data), '{"A":{},"B":[],"C":null,"D":[1,{"E":-1500}]}')
end)

test("places in the same save data are equal, wherever they come from", function()
    local data = sl.SaveDataCreate({ A = { B = {} } })
    assert(data.A == data.A)
    assert(data.A.B == sl.get(data, "/A/B"))
    assert(data.A ~= data.A.B)
    assert(data.A ~= sl.SaveDataCreate({ A = {} }).A)
    equal(sl.is_save_data(data.A), true)
    equal(sl.is_save_data({}), false)
    check.contains(data.A, "/A")
end)

test("a whole save data is put back as it was", function()
    local data = sl.SaveDataCreate({ A = 1, T = { 1 } })
    local backup = sl.TableDeepCopy(data)
    data.A, data.T = 2, nil
    sl.TableRestoreBackup(data, backup)
    sl.TableRestoreBackup(data, backup)
    equal(fields_of(data), '{"A":1,"T":[1]}')
    local other = sl.SaveDataCreate({})
    sl.TableRestoreBackup(other, backup)
    equal(other.A, 1)
    refused("SL_ERROR_INVALID_ARGUMENT", "no field A", function()
        return backup.A
    end)
    refused("SL_ERROR_INVALID_ARGUMENT", "cannot be written", function()
        backup.A = 1
    end)
    backup:Destroy()
    refused("SL_ERROR_INVALID_HANDLE", nil, sl.TableRestoreBackup, data, backup)
end)

test("a place, and a Lua table, are put back as they were", function()
    local data = sl.SaveDataCreate({ Bag = { A = { 1 } } })
    local backup = sl.TableDeepCopy(data.Bag)
    data.Bag.A[1] = 2
    data.Bag.B = 3
    sl.TableRestoreBackup(data.Bag, backup)
    equal(fields_of(data), '{"Bag":{"A":[1]}}')

    local plain = { a = { b = 1 } }
    plain.self = plain
    local copy = sl.TableDeepCopy(plain)
    assert(copy ~= plain and copy.self == copy and copy.a ~= plain.a)
    plain.a.b, plain.c = 2, 3
    sl.TableRestoreBackup(plain, copy)
    equal(plain.a.b, 1)
    equal(plain.c, nil)
    plain.a.b = 5
    equal(copy.a.b, 1)
    refused("SL_ERROR_INVALID_ARGUMENT", "a backup is a table", sl.TableRestoreBackup, plain, nil)
    equal(plain.a.b, 5)
end)

test("a document is parsed with its reserved fields, which cannot be written", function()
    local data = sl.SaveDataParse('{"Version":3,"Gold":1}')
    equal(data.Version, 3)
    refused("SL_ERROR_RESERVED_FIELD", "Version", function()
        data.Version = 4
    end)
    refused("SL_ERROR_RESERVED_FIELD", nil, function()
        data.Version = nil
    end)
    refused("SL_ERROR_INVALID_JSON", nil, sl.SaveDataParse, "{")
    refused("SL_ERROR_WRONG_TYPE", nil, sl.SaveDataCreate, "[]")
end)

test("what is too large or too deep is refused, and nothing is written", function()
    local data = sl.SaveDataCreate({ A = 1 })
    refused("SL_ERROR_TOO_LARGE", nil, function()
        data.A = ("x"):rep(5 * 1024 * 1024)
    end)
    equal(data.A, 1)
end)

test("an error names the line of the script", function()
    local data = sl.SaveDataCreate({})
    local problem = refused("SL_ERROR_RESERVED_FIELD", nil, function()
        data.Version = 1
    end)
    check.contains(problem.Where, "tests/lua/save_data.lua:")
    check.contains(tostring(problem), problem.Where .. problem.Message .. " (SL_ERROR_RESERVED_FIELD)")
    equal("x: " .. problem, "x: " .. tostring(problem))
end)

test("save data that was destroyed is an error, and so are its places", function()
    local data = sl.SaveDataCreate({ A = { B = 1 } })
    local place = data.A
    sl.SaveDataDestroy(data)
    refused("SL_ERROR_INVALID_HANDLE", "freed", function()
        return data.A
    end)
    refused("SL_ERROR_INVALID_HANDLE", "freed", function()
        place.B = 2
    end)
    refused("SL_ERROR_INVALID_HANDLE", nil, function()
        return #place
    end)
    refused("SL_ERROR_INVALID_HANDLE", nil, sl.SaveDataDestroy, data)
    refused("SL_ERROR_INVALID_ARGUMENT", "a save data is needed", sl.get, {}, "/A")
end)

test("JSON that is written is read back, and what is no JSON is refused with its place", function()
    local text = '{"a":[1,-0.5,1e+30,"\\u00e9\\ud83d\\ude00\\n",true,false,null],"b":{}}'
    equal(sl.encode(sl.decode(text)), '{"a":[1,-0.5,1e+30,"é\240\159\152\128\\n",true,false,null],"b":{}}')
    equal(sl.encode(sl.decode(" [ ] ")), "[]")
    equal(sl.decode("18446744073709551616"), 18446744073709551616)
    equal(sl.decode("9223372036854775808"), 9223372036854775808)
    equal(sl.decode("23058430092136939520"), 23058430092136939520)
    equal(sl.copy(sl.SaveDataParse('{"Version":1,"Sum":{"Big":23058430092136939520}}'), "/Sum/Big"),
        23058430092136939520)
    equal(sl.decode("-9223372036854775808"), -9223372036854775807LL - 1)
    for _, bad in ipairs({
        "", "[", "[1,]", "{", '{"a"}', '{"a":1,}', "tru", "nul", "01", "1.", "-", '"', '"\\x"', '"\\ud800"',
        "[1] 2", "{1:2}", '"\1"', "+1", ".5", "[1 2]", '"\\u12g4"', ("["):rep(201),
        "1e400", "-1e400",
    }) do
        refused("SL_ERROR_INVALID_JSON", "no JSON", sl.decode, bad)
    end
    refused("SL_ERROR_INVALID_ARGUMENT", "JSON text is a string", sl.decode, nil)
end)

check.finish("save data")
