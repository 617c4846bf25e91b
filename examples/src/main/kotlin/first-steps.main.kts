// SPDX-License-Identifier: Apache-2.0
//
// Tensors, gradients and a reward in a Kotlin script. With Kotlin 2.4 and a JDK 25:
//   JAVA_OPTS="--add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED" kotlin first-steps.main.kts
@file:DependsOn("io.github.reverie:reverie-rl:0.1.0")

import reverie.autograd.Tape
import reverie.autograd.nn.Conv2d
import reverie.autograd.nn.Parameters
import reverie.diffusion.Denoiser
import reverie.diffusion.ReversePolicy
import reverie.diffusion.SchedulerConfig
import reverie.rl.Policy
import reverie.rl.advantage.GroupAdvantages
import reverie.rl.learn.Trainer
import reverie.rl.learn.TrainerSettings
import reverie.rl.objective.DdpoImportanceSampled
import reverie.rl.prompt.PromptSource
import reverie.rl.reward.Reward
import reverie.tensor.Device
import reverie.tensor.Rng
import reverie.tensor.Scope

val cpu = Device.cpu()
Scope.open("gradient").use {
    val x = Rng.of(1).normal(cpu, 2, 3)
    val w = cpu.tensor(floatArrayOf(1f, 2f, 3f, 4f, 5f, 6f), 3, 2)
    val gradients = Tape.pullback({ arrayOf(x.matmul(w).silu()) }, arrayOf(x, w), arrayOf(cpu.full(1.0, 2, 2)))
    println("gradient of w: ${gradients[1]}")
}

val weights = Parameters.random(cpu, Rng.of(1))
val layer = Conv2d(weights.at("layer"), 3, 3, 3, 1, 1)
val denoiser = Denoiser { x, _, _ -> x.add(layer.forward(x).mul(0.1)) }
val process = ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 10, 1.0)
val policy = Policy(process, denoiser, weights, 8, 8, 3)
val blue = Reward.perImage("blue") { image -> image.getRGB(0, 0, 8, 8, null, 0, 8).map { it and 255 }.average() }
val settings = TrainerSettings.defaults().withLearningRate(0.1).withUpdatesPerEpoch(1)
Trainer(policy, DdpoImportanceSampled(), GroupAdvantages(), PromptSource.of("anything"), blue, settings).use { run ->
    repeat(10) { println("blue: ${run.epoch().rewards().mean()}") }
}
weights.close()
