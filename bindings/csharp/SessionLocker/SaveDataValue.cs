using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>A value of save data, as it was when it was read.</summary>
    public struct SaveDataValue
    {
        private readonly SaveDataType type;
        private readonly bool boolean;
        private readonly long integer;
        private readonly double number;
        private readonly int length;
        private readonly string text;

        internal SaveDataValue(ref SlValue value)
        {
            type = (SaveDataType)value.value_type;
            boolean = value.boolean != 0;
            integer = value.integer;
            number = value.number;
            text = type == SaveDataType.String ? Utf8.Take(ref value.text) : null;
            length = checked((int)value.length);
        }

        /// <summary>Its type. An integer beyond 64 bits counts as a float.</summary>
        public SaveDataType Type
        {
            get { return type; }
        }

        /// <summary>The bool; false for any other type.</summary>
        public bool Boolean
        {
            get { return boolean; }
        }

        /// <summary>The integer; 0 for any other type.</summary>
        public long Int64
        {
            get { return integer; }
        }

        /// <summary>The number, an integer or a float; 0 for any other type.</summary>
        public double Double
        {
            get { return number; }
        }

        /// <summary>The string; null for any other type.</summary>
        public string String
        {
            get { return text; }
        }

        /// <summary>Elements of an array, members of an object, bytes of UTF-8 of a string; else 0.</summary>
        public int Length
        {
            get { return length; }
        }
    }
}
