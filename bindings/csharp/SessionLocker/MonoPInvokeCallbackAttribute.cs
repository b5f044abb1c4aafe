#if !UNITY_5_3_OR_NEWER
using System;

namespace AOT
{
    /// <summary>
    /// Marks a static method that native code calls. Compilers that work ahead of time, such as Unity's
    /// IL2CPP, look for it by its name; under Unity the engine's own attribute takes its place.
    /// </summary>
    [AttributeUsage(AttributeTargets.Method)]
    internal sealed class MonoPInvokeCallbackAttribute : Attribute
    {
        /// <summary>Names the delegate whose signature the method has.</summary>
        public MonoPInvokeCallbackAttribute(Type delegateType)
        {
            DelegateType = delegateType;
        }

        /// <summary>The delegate whose signature the method has.</summary>
        public Type DelegateType { get; private set; }
    }
}
#endif
