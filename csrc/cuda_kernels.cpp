#include "cuda_kernels.h"

#include <pybind11/stl.h>

#include "check_cuda.h"
#include "cuda_array.h"
#include "cuda_launch.h"
#include "pack_upload.h"

namespace faceaffect {

namespace {

template <typename T>
T* address(uintptr_t value) {
  return reinterpret_cast<T*>(value);
}

// A kernel that reads the memory of another GPU fails and leaves CUDA unusable for the rest of the
// process.
void require_on_this_gpu(const CudaArray& array) {
  cudaPointerAttributes attributes = {};
  int current = 0;
  if (cudaPointerGetAttributes(&attributes, address<void>(array.address)) != cudaSuccess ||
      cudaGetDevice(&current) != cudaSuccess) {
    cudaGetLastError();  // no driver: the call that queues work says so
    return;
  }
  if (attributes.type == cudaMemoryTypeDevice && attributes.device != current)
    throw py::value_error("frame is on cuda:" + std::to_string(attributes.device) +
                          ", the work runs on cuda:" + std::to_string(current) +
                          "; copy it there, or open the backend with that device");
}

PlaneView plane_of(const CudaArray& array, int channels, const char* expected) {
  const size_t ndim = channels == 1 ? 2 : 3;
  const bool is_packed = array.shape.size() == ndim && array.strides[1] == channels &&
                         (channels == 1 || (array.shape[2] == channels && array.strides[2] == 1));
  bool has_size = is_packed;
  for (const int64_t side : array.shape) has_size = has_size && side > 0 && side <= (1 << 24);
  if (!array.is('u', 1) || !has_size)
    throw py::value_error(std::string("frame must be uint8 ") + expected +
                          " with adjacent pixels on the GPU, got " + array.described());
  require_on_this_gpu(array);
  return {address<const uint8_t>(array.address), array.strides[0], static_cast<int>(array.shape[1]),
          static_cast<int>(array.shape[0]), channels};
}

// The planes of a frame given as a tuple: NV12 as luma [H, W] and chroma [H / 2, W / 2, 2], each
// with its own row stride; I420 as Y [H, W], U and V [(H + 1) / 2, (W + 1) / 2].
FrameView view_gpu_planes(const py::tuple& planes, PixelFormat pixel_format, uintptr_t stream) {
  const bool is_nv12 = pixel_format == PixelFormat::NV12;
  if (planes.size() != (is_nv12 ? 2 : 3))
    throw py::value_error(is_nv12 ? "an NV12 frame of two planes must be (luma, chroma)"
                                  : "an I420 frame must be (Y, U, V)");
  const auto plane = [&](size_t i, int channels, const char* expected) {
    return plane_of(cuda_array(planes[i], "frame", stream), channels, expected);
  };
  FrameView view = {plane(0, 1, "luma [H, W]"), {}, pixel_format, {}, {}};
  if (is_nv12) {
    view.chroma = plane(1, 2, "chroma [H / 2, W / 2, 2]");
    if (view.plane.width_px != 2 * view.chroma.width_px ||
        view.plane.height_px != 2 * view.chroma.height_px)
      throw py::value_error(
          "chroma of an NV12 frame must be half as wide and half as high as its luma");
    return view;
  }
  view.chroma = plane(1, 1, "U [(H + 1) / 2, (W + 1) / 2]");
  view.chroma_v = plane(2, 1, "V [(H + 1) / 2, (W + 1) / 2]");
  for (const PlaneView& chroma : {view.chroma, view.chroma_v})
    if (chroma.width_px != (view.plane.width_px + 1) / 2 ||
        chroma.height_px != (view.plane.height_px + 1) / 2)
      throw py::value_error("U and V of an I420 frame must be half as wide and high as Y");
  return view;
}

// A frame on the GPU: [H, W, 3] (BGR, RGB), [H, W] (GRAY), NV12 as [H * 3 / 2, W], NV12 and I420 as
// a tuple of planes.
FrameView view_gpu_frame(py::handle pixels, py::handle pixel_format_name, py::handle color,
                         uintptr_t stream) {
  const PixelFormat pixel_format = read_layout(pixel_format_name);
  if (pixel_format == PixelFormat::I420 ||
      (pixel_format == PixelFormat::NV12 && py::isinstance<py::tuple>(pixels))) {
    if (!py::isinstance<py::tuple>(pixels))
      throw py::value_error("an I420 frame must be (Y, U, V)");
    FrameView view =
        view_gpu_planes(py::reinterpret_borrow<py::tuple>(pixels), pixel_format, stream);
    read_color(color, &view);
    return view;
  }
  const CudaArray array = cuda_array(pixels, "frame", stream);
  if (pixel_format == PixelFormat::BGR || pixel_format == PixelFormat::RGB)
    return {plane_of(array, 3, "[H, W, 3]"), {}, pixel_format, {}, {}};
  FrameView view = {
      plane_of(array, 1, "[H, W] or, for NV12, [H * 3 / 2, W]"), {}, pixel_format, {}, {}};
  if (pixel_format == PixelFormat::GRAY) return view;
  const int rows = view.plane.height_px, width = view.plane.width_px;
  if (rows % 3 != 0 || width % 2 != 0)
    throw py::value_error("an NV12 frame must be uint8 [H * 3 / 2, W] with even H and W, got " +
                          array.described());
  view.plane.height_px = rows / 3 * 2;
  view.chroma = {view.plane.data + view.plane.height_px * view.plane.row_stride,
                 view.plane.row_stride, width / 2, rows / 3, 2};
  read_color(color, &view);
  return view;
}

void crop_face(py::handle frame, py::handle pixel_format, py::handle crop_to_frame, py::handle mean,
               py::handle std, py::handle out, py::handle stream_given, py::handle color) {
  const uintptr_t stream = stream_handle(stream_given);
  const FrameView view = view_gpu_frame(frame, pixel_format, color, stream);
  const CudaArray transforms = cuda_array(crop_to_frame, "crop_to_frame", stream);
  if (!transforms.is('f', 4) || transforms.shape.size() != 3 || transforms.shape[1] != 2 ||
      transforms.shape[2] != 3 || !transforms.is_contiguous())
    throw py::value_error("crop_to_frame must be contiguous float32 [N, 2, 3] on the GPU, got " +
                          transforms.described());
  const CudaArray crops = cuda_array(out, "out", stream);
  const int64_t side = crops.shape.size() == 4 ? crops.shape[3] : 0;
  if (side < 1 || side > 8192)
    throw py::value_error("out must be float32 or float16 [N, 3, S, S] on the GPU, got " +
                          crops.described());
  cuda_output(out, "out", {transforms.shape[0], 3, side, side}, 0);
  const CropParams params = {static_cast<int>(side), check_normalize(mean, std)};
  require_device();
  crop_face_cuda(view, address<const float>(transforms.address),
                 static_cast<int>(transforms.shape[0]), params, address<void>(crops.address),
                 element_of(crops, "out"), address<void>(stream));
}

void normalize(py::handle pixels, py::handle mean, py::handle std, py::handle out,
               py::handle stream_given) {
  const uintptr_t stream = stream_handle(stream_given);
  const CudaArray input = cuda_array(pixels, "pixels", stream);
  if (!input.is('u', 1) || input.shape.size() != 4 || input.shape[3] != 3 || !input.is_contiguous())
    throw py::value_error("pixels must be contiguous uint8 [N, H, W, 3] on the GPU, got " +
                          input.described());
  const auto& shape = input.shape;
  const CudaArray planes = cuda_output(out, "out", {shape[0], 3, shape[1], shape[2]}, stream);
  const NormalizeParams params = check_normalize(mean, std);
  require_device();
  normalize_cuda(address<const uint8_t>(input.address), shape[0], shape[1] * shape[2], params,
                 address<void>(planes.address), element_of(planes, "out"), address<void>(stream));
}

// weights: PackedGraph.flat() on the GPU with the element type of the nodes; widths:
// PackedGraph.widths
void au_gcn(py::handle nodes, py::handle weights, const std::vector<int>& widths, py::handle out,
            py::handle stream_given) {
  const uintptr_t stream = stream_handle(stream_given);
  if (widths.empty() || widths.size() > kMaxLayers + 1)
    throw py::value_error("widths must hold 1 to 9 numbers, got " + std::to_string(widths.size()));
  GraphShape shape = {static_cast<int>(widths.size()) - 1, {}};
  for (size_t i = 0; i < widths.size(); ++i) {
    if (widths[i] < 1 || widths[i] > kMaxWidth)
      throw py::value_error("widths must be from 1 to 512, got " + std::to_string(widths[i]));
    shape.widths[i] = widths[i];
  }
  const CudaArray input = cuda_array(nodes, "nodes", stream),
                  numbers = cuda_array(weights, "weights", stream);
  if (input.shape.size() != 3 || input.shape[1] != kNodes || input.shape[2] != widths[0] ||
      !input.is_contiguous())
    throw py::value_error("nodes must be contiguous [N, 12, " + std::to_string(widths[0]) +
                          "] on the GPU, got " + input.described());
  const Element type = element_of(input, "nodes");
  if (numbers.shape != std::vector<int64_t>{graph_size(shape)} ||
      element_of(numbers, "weights") != type || !numbers.is_contiguous())
    throw py::value_error("weights must be contiguous " + shape_text({graph_size(shape)}) +
                          " of the type of the nodes, got " + numbers.described());
  const CudaArray logits = cuda_output(out, "out", {input.shape[0], kNodes}, stream);
  if (!logits.is('f', 4)) throw py::value_error("out must be float32, got " + logits.described());
  require_device();
  au_gcn_cuda(address<const void>(input.address), input.shape[0], shape,
              address<const void>(numbers.address), address<float>(logits.address), type,
              address<void>(stream));
}

void appearance_grid(py::handle crops, py::handle out, py::handle stream_given) {
  const uintptr_t stream = stream_handle(stream_given);
  const CudaArray input = cuda_array(crops, "crops", stream);
  const bool is_square =
      input.shape.size() == 4 && input.shape[1] == 3 && input.shape[2] == input.shape[3];
  if (!is_square || input.shape[3] < 28 || input.shape[3] > 8192 || !input.is_contiguous())
    throw py::value_error("crops must be contiguous [N, 3, S, S], S >= 28, on the GPU, got " +
                          input.described());
  const CudaArray grid = cuda_output(out, "out", {input.shape[0], 3, 12, 12}, stream);
  if (!grid.is('f', 4)) throw py::value_error("out must be float32, got " + grid.described());
  require_device();
  appearance_grid_cuda(address<const void>(input.address), input.shape[0],
                       static_cast<int>(input.shape[3]), address<float>(grid.address),
                       element_of(input, "crops"), address<void>(stream));
}

// jobs: bytes that stage() wrote, on the GPU; out [slots, 3, S, S]
void crop_jobs(py::handle jobs, py::handle mean, py::handle std, py::handle out,
               py::handle stream_given) {
  const uintptr_t stream = stream_handle(stream_given);
  const CudaArray input = cuda_array(jobs, "jobs", stream), crops = cuda_array(out, "out", stream);
  if (crops.shape.size() != 4 || crops.shape[1] != 3 || crops.shape[2] != crops.shape[3] ||
      !crops.is_contiguous())
    throw py::value_error("out must be contiguous [N, 3, S, S] on the GPU, got " +
                          crops.described());
  const int64_t count = crops.shape[0];
  if (!input.is('u', 1) || input.shape.size() != 1 ||
      input.shape[0] < count * static_cast<int64_t>(sizeof(FaceJob)))
    throw py::value_error("jobs must be the uint8 bytes of " + std::to_string(count) +
                          " staged faces, got " + input.described());
  if (input.address % alignof(FaceJob) != 0)
    throw py::value_error("jobs must begin at a multiple of 8 bytes");
  const CropParams params = {static_cast<int>(crops.shape[3]), check_normalize(mean, std)};
  require_device();
  crop_jobs_cuda(address<const FaceJob>(input.address), static_cast<int>(count), params,
                 address<void>(crops.address), element_of(crops, "out"), address<void>(stream));
}

}  // namespace

void bind_cuda_kernels(py::module_& m) {
  m.def("crop_face_cuda", &crop_face, py::arg("frame"), py::arg("pixel_format"),
        py::arg("crop_to_frame"), py::arg("mean"), py::arg("std"), py::arg("out"),
        py::arg("stream"), py::arg("color") = py::none());
  m.def("normalize_cuda", &normalize);
  m.def("au_gcn_cuda", &au_gcn);
  m.def("appearance_grid_cuda", &appearance_grid);
  m.def("crop_jobs_cuda", &crop_jobs);
  m.def(
      "pack_device_upload",
      [](py::handle frame, py::handle pixel_format, py::handle crop_to_frame, int slots,
         int size_px, uintptr_t block, uintptr_t device, size_t capacity, py::handle stream,
         py::handle color) {
        const FloatArray transforms = check_transforms(crop_to_frame);
        if (transforms.shape(0) < 1 || transforms.shape(0) > slots)
          throw py::value_error("slots must hold 1 face or more");
        return pack_upload(view_gpu_frame(frame, pixel_format, color, stream_handle(stream)),
                           transforms.data(), static_cast<int>(transforms.shape(0)), slots, size_px,
                           true, address<uint8_t>(block), device, capacity);
      },
      py::arg("frame"), py::arg("pixel_format"), py::arg("crop_to_frame"), py::arg("slots"),
      py::arg("size_px"), py::arg("block"), py::arg("device"), py::arg("capacity"),
      py::arg("stream"), py::arg("color") = py::none());
}

}  // namespace faceaffect
