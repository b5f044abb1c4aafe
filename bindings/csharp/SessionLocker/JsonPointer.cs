using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace SessionLocker
{
    /// <summary>Makes JSON Pointers (RFC 6901) out of names that may hold any character.</summary>
    public static class JsonPointer
    {
        /// <summary>
        /// The pointer through these names and indices, such as <c>/Items/3/Id</c> for
        /// <c>Of("Items", 3, "Id")</c>. Strings and integers only.
        /// </summary>
        /// <exception cref="ArgumentException">A part is neither a string nor an integer.</exception>
        public static string Of(params object[] parts)
        {
            if (parts == null)
            {
                throw new ArgumentNullException("parts");
            }
            var pointer = new StringBuilder();
            foreach (object part in parts)
            {
                var name = part as string;
                if (name == null)
                {
                    if (!(part is int || part is long))
                    {
                        throw new ArgumentException("a part of a JSON Pointer is a string, an int or a long", "parts");
                    }
                    name = Convert.ToString(part, CultureInfo.InvariantCulture);
                }
                pointer.Append('/').Append(Escape(name));
            }
            return pointer.ToString();
        }

        /// <summary>One name as it stands in a pointer: <c>~</c> as <c>~0</c>, <c>/</c> as <c>~1</c>.</summary>
        public static string Escape(string name)
        {
            if (name == null)
            {
                throw new ArgumentNullException("name");
            }
            return name.Replace("~", "~0").Replace("/", "~1");
        }
    }

    /// <summary>Reads the arrays of strings that the library gives as JSON.</summary>
    internal static class JsonStrings
    {
        public static string[] Parse(string json)
        {
            var strings = new List<string>();
            int at = 0;
            while (true)
            {
                int start = json.IndexOf('"', at);
                if (start < 0)
                {
                    return strings.ToArray();
                }
                at = start + 1;
                strings.Add(String(json, ref at));
            }
        }

        // From behind the opening quote to behind the closing one.
        private static string String(string json, ref int at)
        {
            var text = new StringBuilder();
            while (json[at] != '"')
            {
                char next = json[at++];
                if (next != '\\')
                {
                    text.Append(next);
                    continue;
                }
                char escaped = json[at++];
                int simple = "bfnrt".IndexOf(escaped);
                if (simple >= 0)
                {
                    text.Append("\b\f\n\r\t"[simple]);
                }
                else if (escaped == 'u')
                {
                    text.Append((char)int.Parse(json.Substring(at, 4), NumberStyles.HexNumber, CultureInfo.InvariantCulture));
                    at += 4;
                }
                else
                {
                    text.Append(escaped);
                }
            }
            at++;
            return text.ToString();
        }
    }
}
