#include "arguments.h"

#include <cmath>
#include <string>

namespace faceaffect {

namespace {

constexpr float kMaxTransformEntry = 1e12f;  // keeps every position finite
constexpr int kMaxSizePx = 8192;

std::string text(const std::vector<py::ssize_t>& shape) {
  std::string out = "(";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + (shape.size() == 1 ? ",)" : ")");
}

void read_triple(py::handle values, const char* name, float* out) {
  const auto refuse = [&] {
    throw py::value_error(std::string(name) + " must be three finite numbers, got " +
                          py::repr(values).cast<std::string>());
  };
  const py::object items = py::reinterpret_steal<py::object>(PySequence_Fast(values.ptr(), ""));
  if (!items) PyErr_Clear();
  if (!items || PySequence_Fast_GET_SIZE(items.ptr()) != 3) refuse();
  for (int c = 0; c < 3; ++c) {
    const double value = PyFloat_AsDouble(PySequence_Fast_GET_ITEM(items.ptr(), c));
    if (PyErr_Occurred()) PyErr_Clear(), refuse();
    out[c] = static_cast<float>(value);
    if (!std::isfinite(out[c])) refuse();
  }
}

}  // namespace

PixelFormat read_layout(py::handle pixel_format) {
  const char* name =
      PyUnicode_Check(pixel_format.ptr()) ? PyUnicode_AsUTF8(pixel_format.ptr()) : nullptr;
  const std::string requested = name ? name : "";
  const char* const names[] = {"BGR", "RGB", "GRAY", "NV12"};
  for (int i = 0; i < 4; ++i)
    if (requested == names[i]) return static_cast<PixelFormat>(i);
  throw py::value_error("pixel_format must be BGR, RGB, GRAY or NV12, got " +
                        py::repr(pixel_format).cast<std::string>());
}

std::string describe(py::handle value) {
  if (!py::isinstance<py::array>(value)) return Py_TYPE(value.ptr())->tp_name;
  const auto array = py::reinterpret_borrow<py::array>(value);
  return py::str(array.dtype()).cast<std::string>() + " " +
         text({array.shape(), array.shape() + array.ndim()});
}

FrameView view_frame(py::handle pixels, py::handle pixel_format_name, py::object* owner) {
  const PixelFormat pixel_format = read_layout(pixel_format_name);
  const bool color = pixel_format == PixelFormat::BGR || pixel_format == PixelFormat::RGB;
  if (!py::isinstance<py::array_t<uint8_t>>(pixels))
    throw py::value_error("frame must be a uint8 array, got " + describe(pixels));
  auto array = py::reinterpret_borrow<py::array>(pixels);
  if (array.ndim() != (color ? 3 : 2) || (color && array.shape(2) != 3) || array.size() == 0 ||
      array.shape(0) > (1 << 24) || array.shape(1) > (1 << 24) ||
      (pixel_format == PixelFormat::NV12 && (array.shape(0) % 3 != 0 || array.shape(1) % 2 != 0)))
    throw py::value_error(
        "frame must be uint8 [H, W, 3] (BGR, RGB), [H, W] (GRAY) or [H * 3 / 2, W] (NV12, H and "
        "W " +
        std::string("even), with at least one pixel, got ") + describe(pixels));
  if (array.strides(1) != (color ? 3 : 1) || (color && array.strides(2) != 1))
    array = ByteArray::ensure(array);
  *owner = array;
  const auto* data = static_cast<const uint8_t*>(array.data());
  const int64_t stride = array.strides(0);
  const int rows = static_cast<int>(array.shape(0)), width = static_cast<int>(array.shape(1));
  const int height = pixel_format == PixelFormat::NV12 ? rows / 3 * 2 : rows;
  FrameView view = {{data, stride, width, height, color ? 3 : 1}, {}, pixel_format};
  if (pixel_format == PixelFormat::NV12)
    view.chroma = {data + height * stride, stride, width / 2, height / 2, 2};
  return view;
}

FloatArray check_transforms(py::handle crop_to_frame) {
  FloatArray transforms = FloatArray::ensure(crop_to_frame);
  if (!transforms) PyErr_Clear();
  if (!transforms || transforms.ndim() != 3 || transforms.shape(1) != 2 || transforms.shape(2) != 3)
    throw py::value_error("crop_to_frame must be float32 [N, 2, 3], got " +
                          describe(crop_to_frame));
  for (py::ssize_t i = 0; i < transforms.size(); ++i)
    if (!(std::fabs(transforms.data()[i]) <= kMaxTransformEntry))
      throw py::value_error("crop_to_frame must be finite and at most 1e12, got " +
                            std::to_string(transforms.data()[i]) + " in row " +
                            std::to_string(i / 6));
  return transforms;
}

FloatArray check_nodes(py::handle nodes, int width) {
  FloatArray array = FloatArray::ensure(nodes);
  if (!array) PyErr_Clear();
  if (!array || array.ndim() != 3 || array.shape(1) != kNodes || array.shape(2) != width)
    throw py::value_error("nodes must be float32 [N, 12, " + std::to_string(width) + "], got " +
                          describe(nodes));
  return array;
}

ByteArray check_images(py::handle pixels) {
  if (py::isinstance<py::array_t<uint8_t>>(pixels)) {
    ByteArray array = ByteArray::ensure(pixels);
    if (array && array.ndim() == 4 && array.shape(3) == 3) return array;
  }
  throw py::value_error("pixels must be uint8 [N, H, W, 3], got " + describe(pixels));
}

NormalizeParams check_normalize(py::handle mean, py::handle std) {
  NormalizeParams params;
  read_triple(mean, "mean", params.mean);
  read_triple(std, "std", params.std);
  for (float value : params.std)
    if (!(value > 0.0f))
      throw py::value_error("std must be above 0, got " + py::repr(std).cast<std::string>());
  return params;
}

int check_size_px(py::handle size_px) {
  const long size = PyLong_AsLong(size_px.ptr());
  const bool failed = PyErr_Occurred() != nullptr;
  if (failed) PyErr_Clear();
  if (failed || size < 1 || size > kMaxSizePx)
    throw py::value_error("size_px must be an integer from 1 to 8192, got " +
                          py::repr(size_px).cast<std::string>());
  return static_cast<int>(size);
}

bool is_writable_aligned(const py::array& array) {
  return array.writeable() && (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0;
}

FloatArray check_out(py::handle out, const std::vector<py::ssize_t>& shape) {
  if (out.is_none()) return FloatArray(shape);
  if (py::isinstance<py::array_t<float, py::array::c_style>>(out)) {
    const auto array = py::reinterpret_borrow<FloatArray>(out);
    if (is_writable_aligned(array) &&
        std::vector<py::ssize_t>(array.shape(), array.shape() + array.ndim()) == shape)
      return array;
  }
  throw py::value_error("out must be a writable, aligned, C-contiguous float32 " + text(shape) +
                        ", got " + describe(out));
}

}  // namespace faceaffect
