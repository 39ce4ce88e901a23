"""model_file_test.py - everything that a model file says is used, known to be harmless, or refused by its name, before anything is
compiled. The models of say_model answer "AAA" whatever the attention does, so that a file that is read as it should be runs."""
import json
import os
import re
import unittest

import harness
import say_model
from harness import attempt, folder, heddle, refused
from say_model import boolean, booleans, f32, f32s, f64, i32s, i64, text, texts, u32, u32s, u64


class ModelFile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = folder()
        cls.cache = {"XDG_CACHE_HOME": os.path.join(cls.place, "cache")}

    def file(self, **options):
        return say_model.write(os.path.join(self.place, "m.gguf"), **options)

    def graph(self, **options):
        """Stage 0, compiled from a file of these options."""
        return heddle("compile", self.file(**options), "--emit", "graph", environment=self.cache)

    def refuses(self, *words, **options):
        """The file is refused in one line with these words, by the first stage already."""
        with self.subTest(f"{words} {options}"):
            refused(self, attempt("compile", self.file(**options), "--emit", "graph", environment=self.cache, timeout=60), *words,
                    status=1)

    def answers(self, expected="AAA", **options):
        with self.subTest(f"{options}"):
            run = heddle("run", self.file(**options), "--raw", "-p", "a", "-n", len(expected), "--json", environment=self.cache)
            self.assertEqual(json.loads(run)["text"], expected)

    # ---- tensors ----

    def test_a_bias_is_used_or_refused_by_its_name(self):
        products = {"blk.0.attn_q": 64, "blk.0.attn_k": 32, "blk.0.attn_v": 32, "blk.0.attn_output": 64, "blk.0.ffn_gate": 96,
                    "blk.0.ffn_up": 96, "blk.0.ffn_down": 64}
        for name, size in products.items():
            tensor = {f"{name}.bias": ((size,), {5: 100.0})}
            self.assertEqual(self.graph(tensors=tensor).count("biases("), 1)
            self.refuses(f"{name}.bias", "not known", architecture="gemma3", tensors=tensor)
            self.refuses(f"{name}.bias", f"{size + 1} where", tensors={f"{name}.bias": ((size + 1,), {})})
        for name, size in {"blk.0.attn_norm": 64, "output_norm": 64, "output": 512}.items():
            self.refuses(f"{name}.bias", "not known", tensors={f"{name}.bias": ((size,), {5: 100.0})})
        self.answers(tensors={"blk.0.ffn_down.bias": ((64,), {})})

    def test_an_unknown_tensor_is_refused_by_its_name(self):
        for name in ("blk.0.attn_q_norm.weight", "blk.0.attn_rot_embd.weight", "blk.7.attn_norm.weight",
                     "output.scale", "blk.0.attn_q.input_scale", "v.patch_embd.weight", "mm.0.weight", "other"):
            self.refuses(f"tensor {name}", "not known", tensors={name: ((64,), {})})
        for name in ("blk.0.attn_q.weight.lora_a", "blk.0.attn_qkv.weight"):
            self.refuses(f"tensor {name}", tensors={name: ((64, 64), {})})
        self.refuses("tensor rope_freqs.weight", "not known", architecture="gemma3", tensors={"rope_freqs.weight": ((8,), {})})
        self.refuses("tensor blk.1.attn_norm.weight", layers=2, keys={"block_count": u32(1)})
        self.refuses("tensor blk.1.attn_norm.weight is missing", keys={"block_count": u32(2)})

    def test_a_stage_that_looks_up_beyond_a_table_is_refused(self):
        file = self.file()  # 512 tokens, 4096 positions
        for stage in ("graph", "planned", "kernels"):
            with self.subTest(stage):
                text = heddle("compile", file, "--emit", stage, environment=self.cache)
                path = os.path.join(self.place, f"{stage}.mlir")
                with open(path, "w", encoding="utf8") as out:
                    out.write(text.replace("heddle.batch ids", "heddle.batch positions"))
                run = attempt("compile", file, "--from-stage", path, "-o", path + ".plan", environment=self.cache, timeout=60)
                refused(self, run, "positions below 4096 in a table of 512 rows", status=1)
                self.assertFalse(os.path.exists(path + ".plan"))

    def test_the_image_encoder_of_gemma_is_not_needed_for_text(self):
        self.answers(architecture="gemma3", tensors={"v.patch_embd.weight": ((64,), {}), "mm.input_projection.weight": ((64,), {})},
                     keys={"vision.block_count": u32(2), "mm.tokens_per_image": u32(256)})

    def test_a_mixture_of_experts_is_whole(self):
        dense = ("ffn_gate.", "ffn_up.", "ffn_down.")
        shapes = {"gate": (4, 96, 64), "up": (4, 96, 64), "down": (4, 64, 96)}
        experts = {f"blk.0.ffn_{role}_exps.weight": (shape, {}) for role, shape in shapes.items()}
        router = {"blk.0.ffn_gate_inp.weight": ((4, 64), {})}
        count = {"expert_count": u32(4), "expert_used_count": u32(2)}
        self.answers(keys=count, dropped=dense, tensors=experts | router)
        self.answers(keys={"expert_count": u32(0), "expert_used_count": u32(0)})
        missing = ("ffn_gate_inp.weight, which chooses among the 4 experts of a mixture, is missing",)
        self.refuses(*missing, keys=count)  # the tensors of a dense model
        self.refuses(*missing, keys=count, dropped=dense)
        self.refuses(*missing, keys=count, dropped=dense, tensors=experts)
        self.refuses("llama.expert_used_count is missing", keys={"expert_count": u32(4)}, dropped=dense, tensors=experts | router)
        self.refuses("llama.expert_used_count is 5", "1 to 4", keys=count | {"expert_used_count": u32(5)}, dropped=dense,
                     tensors=experts | router)
        self.refuses("ffn_up_exps.weight is 5 × 96 × 64 where", "4 × 96 × 64", keys=count, dropped=dense,
                     tensors=experts | router | {"blk.0.ffn_up_exps.weight": ((5, 96, 64), {})})
        self.refuses("ffn_gate.weight is missing", dropped=dense, tensors=experts)
        self.refuses("ffn_gate_inp", "not known here", tensors=router)
        self.refuses("ffn_gate.0", "as in old files, are not supported: convert the model again", keys=count,
                     dropped=("ffn_gate.w", "ffn_up.", "ffn_down."), tensors={"blk.0.ffn_gate.0.weight": ((96, 64), {})})

    def test_shapes_must_be_those_of_the_metadata(self):
        for rows in (528, 500, 513, 1, 400000, 1000000):
            self.refuses("output.weight", f"{rows} × 64", "512 × 64", head_rows=rows)
        right = {"token_embd": (512, 64), "output_norm": (64,), "blk.0.attn_norm": (64,), "blk.0.ffn_norm": (64,),
                 "blk.0.attn_q": (64, 64), "blk.0.attn_k": (32, 64), "blk.0.attn_v": (32, 64), "blk.0.attn_output": (64, 64),
                 "blk.0.ffn_gate": (96, 64), "blk.0.ffn_up": (96, 64), "blk.0.ffn_down": (64, 96)}
        for name, shape in right.items():
            shown = " × ".join(map(str, shape))
            for wrong in {(*shape[:-1], shape[-1] + 16), (shape[0] - 1, *shape[1:]), (shape[0] * 2, *shape[1:]), (2, *shape),
                          shape[1:] or (64, 64)}:
                self.refuses(f"tensor {name}.weight is {' × '.join(map(str, wrong))} where", shown,
                             tensors={f"{name}.weight": (wrong, {})})
        self.refuses("position_embd.weight is 4000 × 64 where", "4096 × 64", "context_length", architecture="gpt2",
                     tensors={"position_embd.weight": ((4000, 64), {})}, keys={"attention.layer_norm_epsilon": f32(1e-5)})
        for name in ("attn_q_norm", "attn_k_norm", "post_attention_norm", "post_ffw_norm"):
            self.refuses(f"blk.0.{name}.weight is 24", architecture="gemma3", tensors={f"blk.0.{name}.weight": ((24,), {})})
        self.refuses("rope_freqs.weight", "8 rotated pairs", tensors={"rope_freqs.weight": ((7,), {i: 1.0 for i in range(7)})})
        self.refuses("rope_freqs.weight", "factor", tensors={"rope_freqs.weight": ((8,), {})})
        self.answers(tensors={"rope_freqs.weight": ((8,), {i: 2.0 for i in range(8)})})
        self.answers(tensors={"output_norm.weight": ((1, 64), {(0, i): 1.0 for i in range(64)})})  # the same vector

    # ---- keys of the architecture ----

    def test_a_key_that_changes_the_mathematics_is_refused_by_its_name(self):
        changes = {"logit_scale": f32(0.25), "residual_scale": f32(0.22), "final_logit_softcapping": f32(30),
                   "router_logit_softcapping": f32(30), "attention.clamp_kqv": f32(8), "attention.max_alibi_bias": f32(8),
                   "attention.causal": boolean(False), "attention.layer_norm_epsilon": f32(1e-5), "attention.shared_kv_layers": u32(2),
                   "attention.value_length": u32(32), "attention.key_length_swa": u32(16), "attention.temperature_length": u32(8192),
                   "attention.q_lora_rank": u32(8), "attention.relative_buckets_count": u32(32), "use_parallel_residual": boolean(True),
                   "tensor_data_layout": text("other"), "leading_dense_block_count": u32(1), "interleave_moe_layer_step": u32(1),
                   "nextn_predict_layers": u32(1), "embedding_length_out": u32(32), "embedding_length_per_layer_input": u32(64),
                   "pooling_type": u32(1), "swin_norm": boolean(True), "activation_sparsity_scale": f32s([1.0]),
                   "rope.dimension_sections": i32s([4, 4, 4, 4]), "rope.dimension_count_swa": u32(16), "rope.freq_base_swa": f32(1e4),
                   "rope.scaling.attn_factor": f32(1.2), "rope.scaling.alpha": f32(2), "rope.scaling.yarn_ext_factor": f32(1),
                   "rope.scaling.yarn_log_multiplier": f32(0.1), "rope.scaling.yarn_attn_factor": f32(0.5),
                   "attention.sliding_window_pattern": u32(2), "ssm.state_size": u32(16), "decoder_start_token_id": u32(0),
                   "expert_weights_scale": f32(2), "full_attention_interval": u32(4), "a_key_of_tomorrow": u32(0)}
        for key, value in changes.items():
            self.refuses(f"metadata llama.{key}", keys={key: value})
        self.refuses("gemma3.embedding_scale", architecture="gemma3", keys={"embedding_scale": f32(2)})
        self.refuses("gemma3.final_logit_softcapping is 30", architecture="gemma3", keys={"final_logit_softcapping": f32(30)})

    def test_keys_that_change_nothing_are_taken(self):
        self.answers(keys={"logit_scale": f32(1), "residual_scale": f32(1), "embedding_scale": f32(1), "final_logit_softcapping": f32(0),
                           "attention.clamp_kqv": f32(0), "attention.max_alibi_bias": f32(0), "attention.causal": boolean(True),
                           "attention.shared_kv_layers": u32(0), "use_parallel_residual": boolean(False), "nextn_predict_layers": u32(0),
                           "tensor_data_layout": text("Meta AI original pth"), "rope.scaling.finetuned": boolean(True),
                           "rope.scaling.original_context_length": u32(2048), "rope.scaling.attn_factor": f32(1), "pooling_type": u32(0),
                           "rope.scaling.type": text("none"), "rope.scaling.factor": f32(4)})

    def test_notes_of_other_programs_are_taken(self):
        self.answers(keys={"general.type": text("model"), "general.file_type": u32(0), "general.quantization_version": u32(2),
                           "general.tags": texts(["a", "b"]), "general.base_model.0.name": text("base"), "general.sampling.temp": f32(0.6),
                           "general.license": text("mit"), "general.whatever": u32(1), "quantize.imatrix.file": text("x.dat"),
                           "training.type": text("finetune"), "split.count": u32(1), "split.no": u32(0), "split.tensors.count": i32s([9]),
                           "vendor.note": text("hello")})

    def test_what_is_no_whole_model_is_said(self):
        self.refuses("split into 3", "--merge", keys={"split.count": u32(3), "split.no": u32(0)})
        self.refuses("adapter.type", "adapter", keys={"adapter.type": text("lora")})
        self.refuses("general.type is 'adapter'", keys={"general.type": text("adapter")})
        self.refuses("general.quantization_version is 1", keys={"general.quantization_version": u32(1)})
        self.refuses("clip.has_vision_encoder", keys={"clip.has_vision_encoder": boolean(True)})
        self.refuses("'rwkv7'", "not supported", architecture="rwkv7", keys={"some.key": u32(1)})

    def test_keys_of_the_tokenizer(self):
        ggml = "tokenizer.ggml."
        for key, value in {"add_eos_token": boolean(True), "add_sep_token": boolean(True), "remove_extra_whitespaces": boolean(True),
                           "precompiled_charsmap": u32s([1]), "a_key_of_tomorrow": u32(1)}.items():
            with self.subTest(key):
                run = attempt("run", self.file(keys={ggml + key: value}), "--raw", "-p", "a", environment=self.cache, timeout=60)
                refused(self, run, ggml + key, status=1)
        self.answers(keys={ggml + "add_eos_token": boolean(False), ggml + "padding_token_id": u32(3), ggml + "mask_token_id": u32(3),
                           ggml + "fim_pre_token_id": u32(300), ggml + "prefix_token_id": u32(300), ggml + "seperator_token_id": u32(3),
                           "tokenizer.huggingface.json": text("{}"), "tokenizer.chat_template.tool_use": text("{{ x }}"),
                           "tokenizer.chat_templates": texts(["tool_use"]), ggml + "remove_extra_whitespaces": boolean(False)})

    def test_numbers_within_their_limits(self):
        for key, value in {"attention.layer_norm_rms_epsilon": float("nan"), "rope.freq_base": 0.0, "attention.scale": 0.0,
                           "rope.scaling.factor": 0.0, "embedding_scale": float("inf"), "attn_logit_softcapping": -1.0}.items():
            for wrong in {value, -1.0, float("nan"), float("inf"), 1e38 if key != "rope.freq_base" else -1e38}:
                self.refuses(f"llama.{key}", keys={key: f32(wrong)})
        for key in ("block_count", "embedding_length", "feed_forward_length", "attention.head_count", "attention.head_count_kv",
                    "attention.key_length", "attention.value_length", "context_length", "vocab_size", "rope.dimension_count"):
            for wrong in (0, 2**32 - 1):
                self.refuses(key.rpartition(".")[2], keys={key: u32(wrong)})
            self.refuses(f"llama.{key}", keys={key: u64(2**64 - 1)})
            self.refuses(f"llama.{key}", keys={key: f32(64)})
            self.refuses(f"llama.{key}", keys={key: text("64")})
            self.refuses(f"llama.{key}", keys={key: boolean(True)})
        for key in ("block_count", "embedding_length", "feed_forward_length", "attention.head_count", "context_length",
                    "attention.layer_norm_rms_epsilon"):
            self.refuses(f"llama.{key} is missing", without=[key])
        self.refuses("attention.head_count_kv is 3", "does not divide", kv_heads=3)
        self.refuses("attention.sliding_window is 4294967295", keys={"attention.sliding_window": u32(2**32 - 1)})
        self.refuses("vocab_size is 511 for 512 tokens", keys={"vocab_size": u32(511)})

    def test_every_type_of_number_that_holds_it_is_taken(self):
        self.answers(keys={"block_count": u64(1), "context_length": i64(4096), "rope.freq_base": f64(1e4), "vocab_size": i64(512),
                           "attention.head_count": u32s([4]), "attention.head_count_kv": i32s([2]), "feed_forward_length": u32s([96])})
        self.answers(keys={"rope.freq_base": u32(10000)})
        for key, values in {"attention.head_count": [4, 2], "attention.head_count_kv": [2, 1], "feed_forward_length": [96, 64]}.items():
            self.refuses(f"llama.{key} differs from layer to layer", layers=2, keys={key: u32s(values)})
            for count in (0, 1, 3):
                self.refuses(f"llama.{key} is a list of {count}, which is not the number of layers", layers=2,
                             keys={key: u32s(values[:1] * count)})
        self.refuses("llama.block_count is [1], no whole number", keys={"block_count": u32s([1])})

    def test_sizes_that_kernels_cannot_take(self):
        for size, width in ((100, 400), (100, 200), (100, 64), (8, 64), (72, 64), (4112, 64)):
            self.refuses(f"a head size of {size} is not supported", "multiples of 16", head_size=size, width=width, heads=2)
        for size in (100, 8):
            for heads in (2, 4):
                self.refuses(f"a head size of {size} is not supported", "multiples of 16", head_size=size, heads=heads,
                             width=heads * size, without=["attention.key_length", "attention.value_length", "rope.dimension_count"])
        self.refuses("embedding_length is 72", "multiples of 16", width=72)
        self.refuses("rope.dimension_count is 24", "multiples of 16", head_size=32, keys={"rope.dimension_count": u32(24)})
        for size in (48, 80, 112):
            self.answers(head_size=size)
        for size in (16, 48, 64):
            self.answers(architecture="gemma3", head_size=size)
        for size in (1, 33, 40, 100):
            self.answers(feed_forward=size)
        self.answers(without=["attention.key_length", "attention.value_length", "rope.dimension_count", "attention.head_count_kv",
                              "rope.freq_base", "vocab_size"], kv_heads=4)

    # ---- keys that are used ----

    def test_scales_and_caps_are_in_the_graph(self):
        for architecture in ("llama", "gemma3"):
            with self.subTest(architecture):
                graph = self.graph(architecture=architecture, keys={"attention.scale": f32(0.5), "attn_logit_softcapping": f32(50)})
                self.assertRegex(graph, r"mask = [^}]* scale = 5\.0+e-01")
                self.assertIn("soft_cap = 5.000000e+01", graph)
        self.assertIn("scale = 1.200000e+01", self.graph(keys={"embedding_scale": f32(12)}))

    def test_rope_scaling(self):
        for keys in ({"rope.scaling.factor": f32(4)}, {"rope.scaling.type": text("linear"), "rope.scaling.factor": f32(4)},
                     {"rope.scale_linear": f32(4)}, {"rope.scale_linear": f32(4), "rope.scaling.factor": f32(4)}):
            with self.subTest(str(keys)):
                self.assertRegex(self.graph(keys=keys), r"@rope base .* scale 4\.0")
        self.assertRegex(self.graph(), r"@rope base .* scale 1\.0")
        self.assertRegex(self.graph(keys={"rope.scaling.type": text("none"), "rope.scaling.factor": f32(4)}), r"@rope base .* scale 1\.0")
        self.refuses("rope.scale_linear contradicts", keys={"rope.scale_linear": f32(2), "rope.scaling.factor": f32(4)})
        factors = {"rope_freqs.weight": ((8,), {i: 2.0 for i in range(8)})}
        for kind in ("dynamic", "Linear"):
            self.refuses(f"'{kind}'", keys={"rope.scaling.type": text(kind), "rope.scaling.factor": f32(4)})
            self.refuses(f"'{kind}'", keys={"rope.scaling.type": text(kind), "rope.scaling.factor": f32(4)}, tensors=factors)
        # YaRN stretches the slow pairs and raises cos and sin, over factors that a file holds too
        yarn = {"rope.scaling.type": text("yarn"), "rope.scaling.factor": f32(4), "rope.scaling.original_context_length": u32(1024)}
        for tensors in ({}, factors):
            with self.subTest(str(tensors)):
                graph = self.graph(keys=yarn, tensors=tensors)
                self.assertRegex(graph, r"@rope base .* scale 1\.0.*factors .*magnitude 1\.13")
        # LongRoPE needs both of its lists, each with a factor for each pair
        longrope = {"rope.scaling.type": text("longrope"), "rope.scaling.original_context_length": u32(1024)}
        lists = {f"rope_factors_{kind}.weight": ((8,), {i: value for i in range(8)}) for kind, value in (("short", 1.0), ("long", 3.0))}
        self.assertRegex(self.graph(keys=longrope, tensors=lists), r"@rope base .*factors")
        for name in lists:
            self.refuses(f"tensor {name} is missing", keys=longrope,
                         tensors={other: held for other, held in lists.items() if other != name} | factors)
            self.refuses(f"tensor {name}", "8 rotated pairs", keys=longrope, tensors=lists | {name: ((7,), {i: 1.0 for i in range(7)})})
        self.refuses("'llama3'", keys={"rope.scaling.type": text("llama3"), "rope.scaling.factor": f32(4)})
        self.assertRegex(self.graph(keys={"rope.scaling.type": text("llama3"), "rope.scaling.factor": f32(8)}, tensors=factors),
                         r"@rope base .* scale 1\.0.*factors")

    def test_gemma_3_layers_see_what_the_pattern_says(self):
        def layers(keys, count=4, without=()):
            graph = self.graph(architecture="gemma3", layers=count, keys=keys, without=without)
            return "".join("F" if kind == "full" else "w" for kind in re.findall(r"call @(full|window)_block\(", graph))
        pattern = "attention.sliding_window_pattern"
        self.assertEqual(layers({}, 12), "wwwwwFwwwwwF")
        self.assertEqual(layers({pattern: u32(2)}), "wFwF")
        self.assertEqual(layers({pattern: u32(1)}), "FFFF")
        self.assertEqual(layers({pattern: u32(0)}), "wwww")
        self.assertEqual(layers({pattern: booleans([True, True, False, True])}), "wwFw")
        self.assertEqual(layers({pattern: i32s([0, 1, 1, 0])}), "FwwF")
        self.assertEqual(layers({"attention.sliding_window": u32(0)}), "FFFF")
        self.assertEqual(layers({}, without=["attention.sliding_window"]), "FFFF")
        self.refuses(pattern, "3 entries for 4 layers", architecture="gemma3", layers=4, keys={pattern: booleans([True] * 3)})
        self.refuses(pattern, architecture="gemma3", keys={pattern: text("local")})

    def test_gemma_3_bases_of_both_kinds_of_layers(self):
        def bases(keys, without=()):
            graph = self.graph(architecture="gemma3", keys=keys, without=without)
            return {name: (float(base), float(scale)) for name, base, scale in
                    re.findall(r"@rope_(full|window) base (\S+) dims \d+ scale (\S+)", graph)} or graph
        self.assertEqual(bases({}), {"full": (1e4, 1), "window": (1e4, 1)})  # say_model names 1e4
        self.assertEqual(bases({}, without=["rope.freq_base"]), {"full": (1e6, 1), "window": (1e4, 1)})
        for key in ("rope.freq_base_swa", "rope.local.freq_base"):
            self.assertEqual(bases({key: f32(20000)})["window"], (2e4, 1))
        self.assertEqual(bases({"rope.global.freq_base": f32(30000)}, without=["rope.freq_base"])["full"], (3e4, 1))
        self.assertEqual(bases({"rope.scaling.type": text("linear"), "rope.scaling.factor": f32(8)}),
                         {"full": (1e4, 8), "window": (1e4, 1)})
        self.refuses("rope.local.freq_base contradicts gemma3.rope.freq_base_swa", architecture="gemma3",
                     keys={"rope.freq_base_swa": f32(20000), "rope.local.freq_base": f32(10000)})

    def test_gemma_3_27b_scales_queries_by_its_width(self):
        def scales(layers, **keys):
            graph = self.graph(architecture="gemma3", layers=layers, heads=2, kv_heads=1, keys=keys)
            return {float(scale) for scale in re.findall(r"mask = [^}]*?[ ,]scale = (\S+) : f32", graph.replace("\n", " "))}
        self.assertEqual(scales(61), {0.25})
        self.assertEqual({round(scale, 6) for scale in scales(62)}, {0.176777})
        self.assertEqual(scales(62, **{"attention.scale": f32(0.5)}), {0.5})


if __name__ == "__main__":
    harness.main()
