// SPDX-License-Identifier: Apache-2.0
// base.hpp: what the other parts of mica.hpp stand on: errors, shapes, types and axes in braces, owners of
// reference-counted things, tensors, devices.
#ifndef MICA_CPP_BASE_HPP
#define MICA_CPP_BASE_HPP
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>
#if defined(__cpp_exceptions)
#include <stdexcept>
#endif

#include "mica/mica.h"

namespace mica {

// ---- errors ---------------------------------------------------------------------------------------

// A mica_error that starts empty; true when something failed.
struct error : mica_error {
  error() : mica_error{} {}
  explicit operator bool() const { return status != MICA_OK; }
};

#if defined(__cpp_exceptions)
// What mica::check throws: the message, and the status beside it.
struct failure : std::runtime_error {
  mica_status status;
  failure(mica_status code, const char *text) : std::runtime_error(text), status(code) {}
};
// Throws when the status is a failure: mica::check(jit.call(in, out, &error), error).
inline void check(mica_status status, const mica_error &details = error()) {
  if (status != MICA_OK)
    throw failure(status, *details.message ? details.message : mica_status_text(status));
}
inline void check(const error &details) { check(details.status, details); }
#endif

// ---- shapes, types, axes ----------------------------------------------------------------------------

// {2, 3} is the shape [2, 3], {} a scalar.
struct shape : mica_shape {
  shape(std::initializer_list<std::int64_t> sizes = {}) : mica_shape{} {
    for (std::int64_t size : sizes) {
      if (rank < MICA_MAX_RANK) dim[rank] = size;
      rank++;  // a ninth size is an invalid shape, which every function refuses
    }
  }
  shape(mica_shape other) : mica_shape(other) {}
};

// type(MICA_F32, {2, 3}) is f32[2, 3].
struct type : mica_type {
  type(mica_dtype element, mica::shape sizes = {}) : mica_type{element, sizes} {}
  type(mica_type other) : mica_type(other) {}
};

// {0, -1} are the first and the last axis.
struct axes : mica_axes {
  axes(std::initializer_list<std::int32_t> list = {}) : mica_axes{} {
    for (std::int32_t one : list) {
      if (count < MICA_MAX_RANK) axis[count] = one;
      count++;
    }
  }
};
// Every axis.
inline axes all() {
  axes every;
  every.count = -1;
  return every;
}
// The same axes, left in the result with size 1.
inline axes keep(axes list) {
  list.keep = true;
  return list;
}

// The dtype of a C++ type: dtype_of<float>() is MICA_F32.
template <class T>
constexpr mica_dtype dtype_of() {
  if constexpr (std::is_same_v<T, bool>)
    return MICA_BOOL;
  else if constexpr (std::is_same_v<T, float>)
    return MICA_F32;
  else if constexpr (std::is_same_v<T, double>)
    return MICA_F64;
  else {
    static_assert(std::is_integral_v<T>, "expected bool, an integer, float or double");
    constexpr bool is_signed = std::is_signed_v<T>;
    if constexpr (sizeof(T) == 1)
      return is_signed ? MICA_I8 : MICA_U8;
    else if constexpr (sizeof(T) == 2)
      return is_signed ? MICA_I16 : MICA_U16;
    else if constexpr (sizeof(T) == 4)
      return is_signed ? MICA_I32 : MICA_U32;
    else
      return is_signed ? MICA_I64 : MICA_U64;
  }
}

// ---- owners -------------------------------------------------------------------------------------------

namespace detail {

// Holds one reference; a copy holds another one.
template <class T, T *(*retain)(T *), void (*release)(T *)>
class shared {
 public:
  shared() = default;
  explicit shared(T *owned) : held_(owned) {}  // takes over the caller's reference
  shared(const shared &other) : held_(other.held_ ? retain(other.held_) : nullptr) {}
  shared(shared &&other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  shared &operator=(shared other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~shared() { release(held_); }
  T *get() const { return held_; }                     // for C functions; still owned here
  T *take() { return std::exchange(held_, nullptr); }  // hands the reference to the caller
  // False: empty, or it could not be made.
  explicit operator bool() const { return held_ != nullptr; }

 private:
  T *held_ = nullptr;
};

template <class F>
std::string text_of(F format) {  // calls format(char *, size_t) -> length twice
  std::int64_t length = format(nullptr, std::size_t{0});
  std::string text(length > 0 ? static_cast<std::size_t>(length) + 1 : 1, '\0');
  format(text.data(), text.size());
  text.resize(text.size() - 1);
  return text;
}

}  // namespace detail

// Dense values with a type; shared and immutable.
class tensor : public detail::shared<mica_tensor, mica_tensor_retain, mica_tensor_release> {
 public:
  using shared::shared;
  // Row-major values; empty when their number is not the shape's or memory runs out.
  template <class T>
  tensor(mica::shape sizes, const std::vector<T> &values)
      : tensor(made(sizes, values.data(), values.size())) {}
  template <class T>
  tensor(mica::shape sizes, std::initializer_list<T> values)
      : tensor(made(sizes, values.begin(), values.size())) {}
  // Zeros, one number [], and real numbers converted to a dtype.
  static tensor zeros(mica::type of) {
    return tensor(mica_tensor_from(of.dtype, of.shape, nullptr));
  }
  static tensor scalar(mica_dtype dtype, double number) {
    return tensor(mica_tensor_scalar(dtype, number));
  }
  static tensor from_doubles(mica::type of, const std::vector<double> &values) {
    bool fits = mica_shape_count(of.shape) == static_cast<std::int64_t>(values.size());
    return tensor(fits ? mica_tensor_from_doubles(of.dtype, of.shape, values.data()) : nullptr);
  }
  mica::type type() const { return mica_tensor_type(get()); }
  mica::shape shape() const { return type().shape; }
  std::int64_t count() const { return get() ? mica_shape_count(shape()) : 0; }
  // Of values on a device: waits until they are there; whether that would return at once.
  mica_status wait(mica_error *details = nullptr) const { return mica_tensor_wait(get(), details); }
  bool is_ready() const { return mica_tensor_is_ready(get()); }
  // All elements converted to T (empty without memory or tensor); the first one.
  template <class T>
  std::vector<T> values() const {
    static_assert(!std::is_same_v<T, bool>, "std::vector<bool> has no array: read std::uint8_t");
    std::vector<T> out(static_cast<std::size_t>(count()));
    const void *data = out.empty() ? nullptr : mica_tensor_data(get());
    if (data != nullptr)
      mica_convert_elements(dtype_of<T>(), out.data(), type().dtype, data, count());
    else
      out.clear();
    return out;
  }
  template <class T = double>
  T item() const {
    T out{};
    const void *data = count() > 0 ? mica_tensor_data(get()) : nullptr;
    if (data != nullptr) mica_convert_elements(dtype_of<T>(), &out, type().dtype, data, 1);
    return out;
  }
  // Printed like numpy's.
  std::string text() const {
    return detail::text_of([this](char *to, std::size_t size) {
      return mica_tensor_format(get(), nullptr, to, size);
    });
  }
  friend bool operator==(const tensor &a, const tensor &b) {
    return mica_tensor_equal(a.get(), b.get());
  }
  friend bool operator!=(const tensor &a, const tensor &b) { return !(a == b); }

 private:
  template <class T>
  static mica_tensor *made(const mica::shape &sizes, const T *values, std::size_t count) {
    bool fits = mica_shape_count(sizes) == static_cast<std::int64_t>(count);
    return fits ? mica_tensor_from(dtype_of<T>(), sizes, values) : nullptr;
  }
};

// Options of mica::device: device_options().with_backend("cpu").with_threads(2).
struct device_options : mica_device_options {
  device_options() : mica_device_options{} { struct_size = sizeof(mica_device_options); }
  device_options &with_backend(const char *name) { return backend = name, *this; }
  device_options &with_threads(std::int32_t count) { return threads = count, *this; }
  device_options &with_log(mica_log_callback *callback, void *user) {
    return log = callback, log_user = user, *this;
  }
  device_options &with_find_nan(bool wanted = true) { return find_nan = wanted, *this; }
  device_options &with_profile(bool wanted = true) { return profile = wanted, *this; }
};

// What runs programs: a backend with its threads.
class device : public detail::shared<mica_device, mica_device_retain, mica_device_release> {
 public:
  using shared::shared;
  // Empty on failure; `details` says why.
  static device open(const mica_device_options &options = device_options(),
                     mica_error *details = nullptr) {
    return device(mica_device_open(&options, details));
  }
  const char *backend() const { return mica_device_backend(get()); }
  const char *description() const { return mica_device_description(get()); }
  void cancel(bool now) const { mica_device_cancel(get(), now); }
};

}  // namespace mica
#endif
