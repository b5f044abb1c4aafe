using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>Texts on their way to and from the library.</summary>
    internal static unsafe class Utf8
    {
        // A lone surrogate is an error and not a question mark: save data must come back as it went in.
        public static readonly Encoding Strict = new UTF8Encoding(false, true);

        public static string Read(byte* at, int length)
        {
            return length == 0 ? string.Empty : Encoding.UTF8.GetString(at, length);
        }

        public static string Read(byte* at, UIntPtr length)
        {
            return Read(at, checked((int)length));
        }

        public static string Read(SlText text)
        {
            return Read(text.data, text.length);
        }

        public static string[] Read(SlText* texts, UIntPtr count)
        {
            var strings = new string[(int)count];
            for (int at = 0; at < strings.Length; at++)
            {
                strings[at] = Read(texts[at]);
            }
            return strings;
        }

        public static byte[] Bytes(SlText text)
        {
            var bytes = new byte[checked((int)text.length)];
            if (bytes.Length > 0)
            {
                Marshal.Copy((IntPtr)text.data, bytes, 0, bytes.Length);
            }
            return bytes;
        }

        /// <summary>Reads a text that the library gave out, and frees it.</summary>
        public static string Take(ref SlBuffer buffer)
        {
            try
            {
                return Read(buffer.data, buffer.length);
            }
            finally
            {
                Free(ref buffer);
            }
        }

        public static byte[] TakeBytes(ref SlBuffer buffer)
        {
            try
            {
                return Bytes(new SlText { data = buffer.data, length = buffer.length });
            }
            finally
            {
                Free(ref buffer);
            }
        }

        private static void Free(ref SlBuffer buffer)
        {
            fixed (SlBuffer* at = &buffer)
            {
                NativeMethods.session_locker_buffer_free(at);
            }
        }
    }

    /// <summary>
    /// Where texts of frequent calls are put: memory of the thread's own that is used again, so that a read or
    /// a write allocates nothing. What <see cref="First"/> gives lasts until it is called again on the same
    /// thread, and so for <see cref="Second"/>; only calls that run no hook may use it.
    /// </summary>
    internal sealed unsafe class Scratch
    {
        [ThreadStatic]
        private static Scratch first;

        [ThreadStatic]
        private static Scratch second;

        private byte* memory;
        private int capacity;

        ~Scratch()
        {
            Marshal.FreeHGlobal((IntPtr)memory);
        }

        public static byte* First(string text, out UIntPtr length)
        {
            return (first ?? (first = new Scratch())).Encode(text, out length);
        }

        public static byte* Second(string text, out UIntPtr length)
        {
            return (second ?? (second = new Scratch())).Encode(text, out length);
        }

        private byte* Encode(string text, out UIntPtr length)
        {
            if (text == null)
            {
                throw new ArgumentNullException("text");
            }
            int count = text.Length;
            if (count * 3L + 1 > capacity)
            {
                Grow(count);
            }
            byte* to = memory;
            fixed (char* from = text)
            {
                int at = 0;
                while (at < count && from[at] < 0x80)
                {
                    to[at] = (byte)from[at];
                    at++;
                }
                int rest = count - at;
                length = (UIntPtr)(rest == 0 ? at : at + Utf8.Strict.GetBytes(from + at, rest, to + at, capacity - at));
            }
            return to;
        }

        private void Grow(int characters)
        {
            int size = Math.Max(256, checked(characters * 3 + 1));
            Marshal.FreeHGlobal((IntPtr)memory);
            memory = null;
            capacity = 0;
            memory = (byte*)Marshal.AllocHGlobal(size);
            capacity = size;
        }
    }

    /// <summary>Texts of one call, freed together when it has returned.</summary>
    internal sealed unsafe class Arena : IDisposable
    {
        private readonly List<IntPtr> blocks = new List<IntPtr>();

        /// <summary>A text, or NULL with length 0 for null.</summary>
        public byte* Text(string text, out UIntPtr length)
        {
            return Bytes(text == null ? null : Utf8.Strict.GetBytes(text), out length);
        }

        /// <summary>The same, with an exception for null.</summary>
        public byte* Needed(string text, string name, out UIntPtr length)
        {
            if (text == null)
            {
                throw new ArgumentNullException(name);
            }
            return Text(text, out length);
        }

        public byte* Bytes(byte[] bytes, out UIntPtr length)
        {
            if (bytes == null)
            {
                length = UIntPtr.Zero;
                return null;
            }
            var memory = (byte*)Allocate(bytes.Length + 1);
            Marshal.Copy(bytes, 0, (IntPtr)memory, bytes.Length);
            length = (UIntPtr)bytes.Length;
            return memory;
        }

        public SlText* Texts(ICollection<string> texts, out UIntPtr count)
        {
            count = UIntPtr.Zero;
            if (texts == null || texts.Count == 0)
            {
                return null;
            }
            var array = (SlText*)Allocate(sizeof(SlText) * texts.Count);
            int at = 0;
            foreach (string text in texts)
            {
                array[at].data = Needed(text, "texts", out array[at].length);
                at++;
            }
            count = (UIntPtr)at;
            return array;
        }

        public void Dispose()
        {
            foreach (IntPtr block in blocks)
            {
                Marshal.FreeHGlobal(block);
            }
            blocks.Clear();
        }

        private IntPtr Allocate(int size)
        {
            IntPtr block = Marshal.AllocHGlobal(size);
            blocks.Add(block);
            return block;
        }
    }
}
