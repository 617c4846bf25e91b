// From the root of a checkout, after ./reverie has built once:
//   jshell --class-path "tensor/target/classes:autograd/target/classes:$(cat app/target/runtime.classpath)" \
//     -R--add-modules=jdk.incubator.vector -R--enable-native-access=ALL-UNNAMED examples/src/main/jshell/first-steps.jsh
import reverie.autograd.*;
import reverie.tensor.*;

Device cpu = Device.cpu();
Scope scope = Scope.open("shell");
Tensor x = Rng.of(1).normal(cpu, 2, 3);
Tensor w = cpu.tensor(new float[] {1, 2, 3, 4, 5, 6}, 3, 2);
Tensor y = x.matmul(w).silu();
Tensor[] gradients = Tape.pullback(() -> new Tensor[] {x.matmul(w).silu()}, new Tensor[] {x, w}, new Tensor[] {cpu.full(1, 2, 2)});
System.out.println(y);
System.out.println(gradients[1]);
scope.close();
