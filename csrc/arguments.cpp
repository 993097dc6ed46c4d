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
  const char* const names[] = {"BGR", "RGB", "GRAY", "NV12", "I420"};
  for (int i = 0; i < 5; ++i)
    if (requested == names[i]) return static_cast<PixelFormat>(i);
  throw py::value_error("pixel_format must be BGR, RGB, GRAY, NV12 or I420, got " +
                        py::repr(pixel_format).cast<std::string>());
}

std::string describe(py::handle value) {
  if (!py::isinstance<py::array>(value)) return Py_TYPE(value.ptr())->tp_name;
  const auto array = py::reinterpret_borrow<py::array>(value);
  return py::str(array.dtype()).cast<std::string>() + " " +
         text({array.shape(), array.shape() + array.ndim()});
}

namespace {

constexpr py::ssize_t kMaxSidePx = 1 << 24;

bool has_plane_shape(const py::array& array, py::ssize_t channels) {
  const bool has_channels =
      channels == 1 ? array.ndim() == 2 : array.ndim() == 3 && array.shape(2) == channels;
  return has_channels && array.size() > 0 && array.shape(0) <= kMaxSidePx &&
         array.shape(1) <= kMaxSidePx;
}

// A view of [H, W, channels], or of a copy if its pixels are not adjacent.
PlaneView view_plane(py::array* array, py::ssize_t channels) {
  if (array->strides(1) != channels || (channels > 1 && array->strides(2) != 1))
    *array = ByteArray::ensure(*array);
  return {static_cast<const uint8_t*>(array->data()), array->strides(0),
          static_cast<int>(array->shape(1)), static_cast<int>(array->shape(0)),
          static_cast<int>(channels)};
}

FrameView view_i420(py::handle planes, py::object* owner) {
  const auto refuse = [&]() {
    throw py::value_error(
        "an I420 frame must be (Y, U, V), uint8 [H, W] and twice [(H + 1) / 2, (W + 1) / 2] with "
        "the same strides, got " +
        describe(planes));
  };
  py::array arrays[3];
  if (!py::isinstance<py::tuple>(planes) || py::len(planes) != 3) refuse();
  const auto items = py::reinterpret_borrow<py::tuple>(planes);
  for (size_t i = 0; i < 3; ++i) {
    if (!py::isinstance<py::array_t<uint8_t>>(items[i])) refuse();
    arrays[i] = py::reinterpret_borrow<py::array>(items[i]);
    if (!has_plane_shape(arrays[i], 1)) refuse();
  }
  FrameView view = {view_plane(&arrays[0], 1),
                    view_plane(&arrays[1], 1),
                    PixelFormat::I420,
                    view_plane(&arrays[2], 1),
                    {}};
  for (const PlaneView& chroma : {view.chroma, view.chroma_v})
    if (chroma.width_px != (view.plane.width_px + 1) / 2 ||
        chroma.height_px != (view.plane.height_px + 1) / 2)
      refuse();
  if (view.chroma.row_stride != view.chroma_v.row_stride) refuse();
  *owner = py::make_tuple(arrays[0], arrays[1], arrays[2]);
  return view;
}

}  // namespace

void read_color(py::handle color, FrameView* frame) {
  if (!frame->has_chroma()) return;
  float numbers[6];
  const py::object items = py::reinterpret_steal<py::object>(PySequence_Fast(color.ptr(), ""));
  bool is_valid = items && PySequence_Fast_GET_SIZE(items.ptr()) == 6;
  for (int i = 0; is_valid && i < 6; ++i) {
    numbers[i] = static_cast<float>(PyFloat_AsDouble(PySequence_Fast_GET_ITEM(items.ptr(), i)));
    is_valid = !PyErr_Occurred() && std::isfinite(numbers[i]);
  }
  PyErr_Clear();
  if (!is_valid)
    throw py::value_error(
        "color of a NV12 or I420 frame must be six finite numbers (YuvColor.coefficients), got " +
        py::repr(color).cast<std::string>());
  frame->yuv = {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]};
}

FrameView view_frame(py::handle planes, py::handle pixel_format_name, py::object* owner) {
  const PixelFormat pixel_format = read_layout(pixel_format_name);
  if (pixel_format == PixelFormat::I420) return view_i420(planes, owner);
  const bool color = pixel_format == PixelFormat::BGR || pixel_format == PixelFormat::RGB;
  if (!py::isinstance<py::array_t<uint8_t>>(planes))
    throw py::value_error("frame must be a uint8 array, got " + describe(planes));
  auto array = py::reinterpret_borrow<py::array>(planes);
  if (!has_plane_shape(array, color ? 3 : 1) ||
      (pixel_format == PixelFormat::NV12 && (array.shape(0) % 3 != 0 || array.shape(1) % 2 != 0)))
    throw py::value_error(
        "frame must be uint8 [H, W, 3] (BGR, RGB), [H, W] (GRAY) or [H * 3 / 2, W] (NV12, H and "
        "W " +
        std::string("even), with at least one pixel, got ") + describe(planes));
  FrameView view = {view_plane(&array, color ? 3 : 1), {}, pixel_format, {}, {}};
  *owner = array;
  if (pixel_format == PixelFormat::NV12) {
    PlaneView& luma = view.plane;
    luma.height_px = luma.height_px / 3 * 2;
    view.chroma = {luma.data + luma.height_px * luma.row_stride, luma.row_stride, luma.width_px / 2,
                   luma.height_px / 2, 2};
  }
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
