import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.net.InetSocketAddress;
import java.util.List;

/** A server in memory that speaks MongoDB's protocol. Prints its port, and ends with its standard input. */
public class Server {
  public static void main(String[] arguments) throws Exception {
    MemoryBackend backend = new MemoryBackend();
    backend.version(new MongoVersion() { // its newest one says wire version 8, which is too old for today's drivers
      public int getWireVersion() { return 13; }
      public List<Integer> getVersionArray() { return List.of(5, 0, 0); }
      public String toVersionString() { return "5.0.0"; }
    });
    InetSocketAddress address = new MongoServer(backend).bind();
    System.out.println(address.getPort());
    System.out.flush();
    while (System.in.read() != -1) { }
    System.exit(0);
  }
}
