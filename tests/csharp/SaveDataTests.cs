using System;
using SessionLocker;

public static class SaveDataTests
{
    public static void Every_type_is_written_and_read_back()
    {
        using (SaveData data = SaveData.Create("{}"))
        {
            data.Set("/Integer", 7);
            data.Set("/Float", 2.0);
            data.Set("/True", true);
            data.Set("/False", false);
            data.Set("/String", "text");
            data.SetNull("/Null");
            data.SetJson("/Object", "{\"b\":1,\"a\":[1,2,3]}");
            Expect.Equal(7L, data.GetInt64("/Integer"));
            Expect.Equal(2.0, data.GetDouble("/Float"));
            Expect.True(data.GetBoolean("/True") && !data.GetBoolean("/False"), "bools");
            Expect.Equal("text", data.GetString("/String"));
            Expect.Equal("{\"b\":1,\"a\":[1,2,3]}", data.GetJson("/Object"));
            Expect.Equal(3, data.GetLength("/Object/a"));
            Expect.Equal(2, data.GetLength("/Object"));
            Expect.Equal(SaveDataType.Integer, data.GetValueType("/Integer"));
            Expect.Equal(SaveDataType.Float, data.GetValueType("/Float"));
            Expect.Equal(SaveDataType.Boolean, data.GetValueType("/True"));
            Expect.Equal(SaveDataType.String, data.GetValueType("/String"));
            Expect.Equal(SaveDataType.Null, data.GetValueType("/Null"));
            Expect.Equal(SaveDataType.Object, data.GetValueType("/Object"));
            Expect.Equal(SaveDataType.Array, data.GetValueType("/Object/a"));
            Expect.True(data.Contains("/Null") && !data.Contains("/Nothing"), "contains");
        }
    }

    public static void Integers_keep_64_bits()
    {
        using (SaveData data = SaveData.Create("{}"))
        {
            foreach (long value in new[] { long.MinValue, long.MaxValue, 0, -1, (1L << 53) + 1 })
            {
                data.Set("/N", value);
                Expect.Equal(value, data.GetInt64("/N"));
                Expect.Equal(value, data.GetValue("/N").Int64);
                Expect.Equal(value.ToString(), data.GetJson("/N"));
            }
            data.Set("/N", (ulong)long.MaxValue);
            Expect.Equal(SaveDataType.Integer, data.GetValueType("/N"));
            Expect.Throws<OverflowException>(() => data.Set("/N", ulong.MaxValue));
            Expect.Refused(SessionLockerStatus.OutOfRange, () => { data.Set("/N", long.MaxValue); data.Add("/N", 1); });
            Expect.Equal(long.MaxValue, data.GetInt64("/N"));
        }
    }

    public static void Floats_come_back_to_the_last_bit()
    {
        using (SaveData data = SaveData.Create("{}"))
        {
            foreach (double value in new[] { 0.1, 1.0 / 3, double.MaxValue, double.Epsilon, -0.0, 1e22, 123456789.123456789 })
            {
                data.Set("/N", value);
                long bits = BitConverter.DoubleToInt64Bits(data.GetDouble("/N"));
                Expect.Equal(BitConverter.DoubleToInt64Bits(value), bits, value.ToString());
                Expect.Equal(value, data.GetValue("/N").Double);
            }
            Expect.Refused(SessionLockerStatus.OutOfRange, () => data.Set("/N", double.NaN));
            Expect.Refused(SessionLockerStatus.OutOfRange, () => data.Set("/N", double.PositiveInfinity));
        }
    }

    public static void Strings_keep_every_character()
    {
        using (SaveData data = SaveData.Create("{}"))
        {
            string longest = new string('ü', 5000);
            foreach (string text in new[] { "", "Ann Ünal", "a\0b\0", "\"quoted\\\"\n\u2028", "𝄞 中文 🎮", longest, "end" })
            {
                data.Set("/S", text);
                Expect.Equal(text, data.GetString("/S"));
                Expect.Equal(text, data.GetValue("/S").String);
            }
        }
    }

    public static void A_lone_surrogate_is_refused_and_nothing_written()
    {
        using (SaveData data = SaveData.Create("{\"S\":\"as it was\"}"))
        {
            Expect.Throws<ArgumentException>(() => data.Set("/S", "broken \ud800"));
            Expect.Equal("as it was", data.GetString("/S"));
        }
    }

    public static void Names_with_any_character_are_reached_by_pointers()
    {
        using (SaveData data = SaveData.Create("{}"))
        {
            foreach (string name in new[] { "a/b", "m~n", "~1", "", "ü/~", "with \0 and \"", "42" })
            {
                data.SetJson(JsonPointer.Of(name), "[1,{\"x\":0}]");
                data.Set(JsonPointer.Of(name, 1, "x"), 5);
                Expect.Equal(5L, data.GetInt64("/" + JsonPointer.Escape(name) + "/1/x"));
            }
            Expect.Lines(data.GetNames(""), "VersionPatch", "Purchases", "ProductCredit", "a/b", "m~n", "~1", "", "ü/~", "with \0 and \"", "42");
            Expect.Throws<ArgumentException>(() => JsonPointer.Of(1.5));
            Expect.Equal("/a/3/9", JsonPointer.Of("a", 3, 9L));
        }
    }

    public static void The_names_of_an_object_come_in_their_order()
    {
        using (SaveData data = SaveData.Create("{\"O\":{\"z\":1,\"a\\\"\\\\\\u00fc\\n\":2,\"m\":3},\"E\":{}}"))
        {
            Expect.Lines(data.GetNames("/O"), "z", "a\"\\ü\n", "m");
            Expect.Equal(0, data.GetNames("/E").Length);
            Expect.Refused(SessionLockerStatus.WrongType, () => data.GetNames("/O/z"));
        }
    }

    public static void A_value_of_any_type_is_read_in_one_call()
    {
        using (SaveData data = SaveData.Create("{\"I\":3,\"F\":0.5,\"B\":true,\"S\":\"ü\",\"N\":null,\"A\":[1,2],\"O\":{\"x\":1}}"))
        {
            Expect.Equal(3.0, data.GetValue("/I").Double);
            Expect.Equal(SaveDataType.Float, data.GetValue("/F").Type);
            Expect.True(data.GetValue("/B").Boolean, "the bool");
            Expect.Equal(2, data.GetValue("/S").Length);
            Expect.Equal(SaveDataType.Null, data.GetValue("/N").Type);
            Expect.Equal(2, data.GetValue("/A").Length);
            Expect.Equal(1, data.GetValue("/O").Length);
            SaveDataValue value;
            Expect.True(data.TryGetValue("/S", out value) && value.String == "ü", "there is one");
            Expect.True(!data.TryGetValue("/Nothing", out value), "there is none");
            Expect.Refused(SessionLockerStatus.InvalidPointer, () => data.TryGetValue("no pointer", out value));
        }
    }

    public static void Arrays_grow_and_shrink()
    {
        using (SaveData data = SaveData.Create("{\"A\":[]}"))
        {
            data.Set("/A/-", 1);
            data.Set("/A/1", "two");
            data.AppendJson("/A", "[3]");
            Expect.Equal("[1,\"two\",[3]]", data.GetJson("/A"));
            data.Remove("/A/0");
            Expect.Equal("[\"two\",[3]]", data.GetJson("/A"));
            Expect.Equal(12L, Sum(data));
        }
    }

    public static void Patches_are_applied_whole_or_not_at_all()
    {
        using (SaveData data = SaveData.Create("{\"A\":1,\"B\":2}"))
        {
            data.MergePatch("{\"A\":null,\"C\":{\"D\":3}}");
            Expect.True(!data.Contains("/A"), "merged");
            Expect.Equal(3L, data.GetInt64("/C/D"));
            data.ApplyPatch("[{\"op\":\"replace\",\"path\":\"/B\",\"value\":5}]");
            Expect.Equal(5L, data.GetInt64("/B"));
            string message = Expect.Refused(
                SessionLockerStatus.PatchFailed,
                () => data.ApplyPatch("[{\"op\":\"remove\",\"path\":\"/B\"},{\"op\":\"remove\",\"path\":\"/X\"}]"));
            Expect.Contains("1", message);
            Expect.Equal(5L, data.GetInt64("/B"));
        }
    }

    public static void A_backup_puts_everything_back_and_outlives_its_save_data()
    {
        SaveDataBackup backup;
        using (SaveData data = SaveData.Create("{\"A\":1}"))
        {
            backup = data.Backup();
            data.Set("/A", 2);
            data.Restore(backup);
            Expect.Equal(1L, data.GetInt64("/A"));
        }
        using (SaveData other = SaveData.Create("{}"))
        {
            other.Restore(backup);
            Expect.Equal(1L, other.GetInt64("/A"));
            backup.Dispose();
            Expect.Disposed(() => other.Restore(backup));
        }
    }

    public static void Reserved_fields_are_read_and_not_written()
    {
        using (SaveData data = SaveData.Parse("{\"Version\":3,\"VersionPatch\":0.5,\"Gold\":1}"))
        {
            Expect.Equal(3L, data.GetInt64("/Version"));
            Expect.Contains("Version", Expect.Refused(SessionLockerStatus.ReservedField, () => data.Set("/Version", 4)));
            data.SetJson("", "{\"Version\":9,\"Silver\":2}");
            Expect.Equal(3L, data.GetInt64("/Version"));
            Expect.True(!data.Contains("/Gold"), "all other fields are replaced");
        }
    }

    public static void Refused_calls_say_why_and_change_nothing()
    {
        using (SaveData data = SaveData.Create("{\"A\":1,\"S\":\"x\"}"))
        {
            Expect.Contains("/Nothing", Expect.Refused(SessionLockerStatus.NotFound, () => data.GetInt64("/Nothing")));
            Expect.Refused(SessionLockerStatus.WrongType, () => data.GetInt64("/S"));
            Expect.Refused(SessionLockerStatus.WrongType, () => data.GetString("/A"));
            Expect.Refused(SessionLockerStatus.WrongType, () => data.GetBoolean("/A"));
            Expect.Refused(SessionLockerStatus.WrongType, () => data.GetDouble("/S"));
            Expect.Refused(SessionLockerStatus.WrongType, () => data.GetLength("/A"));
            Expect.Refused(SessionLockerStatus.WrongType, () => data.AppendJson("/A", "1"));
            Expect.Refused(SessionLockerStatus.NotFound, () => data.Set("/X/Y", 1));
            Expect.Refused(SessionLockerStatus.NotFound, () => data.Remove("/X"));
            Expect.Refused(SessionLockerStatus.NotFound, () => data.Add("/X", 1));
            Expect.Refused(SessionLockerStatus.InvalidJson, () => data.SetJson("/A", "{"));
            Expect.Refused(SessionLockerStatus.InvalidPointer, () => data.Remove(""));
            Expect.Refused(SessionLockerStatus.WrongType, () => data.MergePatch("[]"));
            Expect.Throws<ArgumentNullException>(() => data.GetInt64(null));
            Expect.Throws<ArgumentNullException>(() => data.Set("/A", (string)null));
            Expect.Throws<ArgumentNullException>(() => data.Restore(null));
            Expect.Equal(1L, data.GetInt64("/A"));
        }
        Expect.Refused(SessionLockerStatus.InvalidJson, () => SaveData.Create("{"));
        Expect.Refused(SessionLockerStatus.WrongType, () => SaveData.Create("[]"));
        Expect.Refused(SessionLockerStatus.InvalidJson, () => SaveData.Parse("{\"Version\":\"?\"}"));
        Expect.Throws<ArgumentNullException>(() => SaveData.Create(null));
    }

    public static void Disposed_save_data_refuses_every_call()
    {
        SaveData data = SaveData.Create("{\"A\":1}");
        data.Dispose();
        data.Dispose();
        Expect.Disposed(() => data.GetInt64("/A"));
        Expect.Disposed(() => data.GetDouble("/A"));
        Expect.Disposed(() => data.GetBoolean("/A"));
        Expect.Disposed(() => data.GetString("/A"));
        Expect.Disposed(() => data.GetJson("/A"));
        Expect.Disposed(() => data.GetValue("/A"));
        Expect.Disposed(() => data.GetNames(""));
        Expect.Disposed(() => data.Contains("/A"));
        Expect.Disposed(() => data.GetValueType("/A"));
        Expect.Disposed(() => data.GetLength(""));
        Expect.Disposed(() => data.Set("/A", 1));
        Expect.Disposed(() => data.Set("/A", 1.5));
        Expect.Disposed(() => data.Set("/A", true));
        Expect.Disposed(() => data.Set("/A", "s"));
        Expect.Disposed(() => data.SetNull("/A"));
        Expect.Disposed(() => data.SetJson("/A", "1"));
        Expect.Disposed(() => data.Add("/A", 1));
        Expect.Disposed(() => data.AppendJson("/A", "1"));
        Expect.Disposed(() => data.Remove("/A"));
        Expect.Disposed(() => data.MergePatch("{}"));
        Expect.Disposed(() => data.ApplyPatch("[]"));
        Expect.Disposed(() => data.Backup());
    }

    private static long Sum(SaveData data)
    {
        data.SetJson("/N", "[5,7]");
        long sum = 0;
        for (int at = 0; at < data.GetLength("/N"); at++)
        {
            sum += data.GetInt64(JsonPointer.Of("N", at));
        }
        return sum;
    }
}
