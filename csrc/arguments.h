// Validation of arguments from Python: each error names the argument, what was expected and what
// came.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "au_gcn.h"
#include "crop_face.h"

namespace faceaffect {

namespace py = pybind11;

// Conversions copy misaligned arrays: a misaligned load is undefined behavior.
constexpr int kConverted =
    py::array::c_style | py::array::forcecast | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
using FloatArray = py::array_t<float, kConverted>;
using DoubleArray = py::array_t<double, kConverted>;
using ByteArray = py::array_t<uint8_t, py::array::c_style | py::array::forcecast>;

// "uint8 (3, 4)" of an array, else the type's name.
std::string describe(py::handle value);

PixelFormat read_layout(py::handle pixel_format);

// Views a frame for the kernels: an array, for I420 a tuple (Y, U, V). `owner` owns the copy if
// rows are not in a layout that kernels can read.
FrameView view_frame(py::handle planes, py::handle pixel_format, py::object* owner);

// Reads the six coefficients of a YUV frame; the other formats need none.
void read_color(py::handle color, FrameView* frame);

FloatArray check_transforms(py::handle crop_to_frame);  // float32 [N, 2, 3]
FloatArray check_nodes(py::handle nodes, int width);    // float32 [N, 12, width]
ByteArray check_images(py::handle pixels);              // uint8 [N, H, W, 3]
NormalizeParams check_normalize(py::handle mean, py::handle std);
int check_size_px(py::handle size_px);

// Whether an output can be written in place.
bool is_writable_aligned(const py::array& array);

// `out` itself when it fits, a new array when it is None.
FloatArray check_out(py::handle out, const std::vector<py::ssize_t>& shape);

}  // namespace faceaffect
